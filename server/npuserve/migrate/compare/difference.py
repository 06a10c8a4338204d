"""How far two tensors of one layer lie apart."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from npuserve.migrate.compare.precision import Type

Array = npt.NDArray[Any]

BROKEN = 1e9
"""The relative error of what is not finite where it should be, and of anything against zero: JSON has no infinity."""

_ULP_EDGES = (0, 1, 2, 4, 8, 16, 64, 256, 1024)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What was found for one tensor.

    relative: root mean square of the error over that of the reference. max_relative, mean_relative: element by
    element, of those whose reference is not 0. ulps: how many elements lie so many steps of the target type apart, by
    ranges as `3-4`. broken: elements that are not finite, or infinite in another way than the reference.
    """

    cosine: float
    max_abs: float
    mean_abs: float
    relative: float
    max_relative: float
    mean_relative: float
    ulps: Mapping[str, int]
    elements: int
    broken: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return asdict(self)


def difference(actual: Array, expected: Array, kind: Type) -> Difference:
    """Compare a tensor with its reference, which has the same shape. kind: whose steps the errors are counted in."""
    left, right = actual.astype(np.float64).ravel(), expected.astype(np.float64).ravel()
    finite = np.isfinite(left) & np.isfinite(right)
    broken = 0
    if not finite.all():
        same = (left == right) | (np.isnan(left) & np.isnan(right))
        broken = int((~finite & ~same).sum())
        left, right = left[finite], right[finite]
    error = np.abs(left - right)
    ratios = _ratios(error, right)
    return Difference(
        cosine=0.0 if broken else cosine(left, right),
        max_abs=BROKEN if broken else _largest(error),
        mean_abs=BROKEN if broken else _mean(error),
        relative=BROKEN if broken else _relative(error, right),
        max_relative=min(_largest(ratios), BROKEN),
        mean_relative=min(_mean(ratios), BROKEN),
        ulps=_histogram(_ulps(left, right, kind)),
        elements=actual.size,
        broken=broken,
    )


def cosine(left: Array, right: Array) -> float:
    """Return the cosine of two flat tensors; two that are zero are equal."""
    lengths = _length(left) * _length(right)
    if lengths == 0.0:
        return float(not np.any(left) and not np.any(right))
    return min(1.0, _product(left, right) / lengths)


def _product(left: Array, right: Array) -> float:
    # Not numpy's dot: its threads wait for each other where other programs have the cores.
    return float(np.einsum("i,i->", left, right))


def _length(values: Array) -> float:
    return math.sqrt(_product(values, values))


def _ratios(error: Array, reference: Array) -> Array:
    size: Array = np.abs(reference)
    if not size.all():
        error, size = error[size != 0], size[size != 0]
    ratios: Array = error / size
    return ratios


def _largest(values: Array) -> float:
    return float(values.max()) if values.size else 0.0


def _mean(values: Array) -> float:
    return float(values.mean()) if values.size else 0.0


def _relative(error: Array, reference: Array) -> float:
    size, off = _length(reference), _length(error)
    if off == 0.0:
        return 0.0
    return min(off / size, BROKEN) if size else BROKEN


def _ulps(left: Array, right: Array, kind: Type) -> npt.NDArray[np.int64]:
    """Return how many values of the type lie between two tensors' elements, the nearer one counted."""
    steps: npt.NDArray[np.int64] = np.abs(_ordered(left, kind) - _ordered(right, kind))
    return steps


def _ordered(values: Array, kind: Type) -> npt.NDArray[np.int64]:
    """Return integers that are one apart for neighbours of the type, and the same for both zeros."""
    with np.errstate(over="ignore"):
        if kind == "float16":
            bits, top = values.astype(np.float16).view(np.uint16).astype(np.int64), 1 << 15
        elif kind == "bfloat16":
            wide = values.astype(np.float32).view(np.uint32).astype(np.int64)
            bits, top = (wide + 0x7FFF + ((wide >> 16) & 1)) >> 16, 1 << 15
        else:
            bits, top = values.astype(np.float32).view(np.uint32).astype(np.int64), 1 << 31
    return np.where(bits >= top, top - bits, bits)


def _histogram(steps: npt.NDArray[np.int64]) -> dict[str, int]:
    beyond = _ULP_EDGES[-1] + 1
    # Counted one by one and then added up: that is several times faster than to look for each element's range.
    singly = np.bincount(np.minimum(steps, beyond), minlength=beyond + 1)
    counts: dict[str, int] = {}
    below = -1
    for edge in _ULP_EDGES:
        name = str(edge) if edge - below == 1 else f"{below + 1}-{edge}"
        counts[name] = int(singly[below + 1 : edge + 1].sum())
        below = edge
    counts[f">{below}"] = int(singly[beyond])
    return counts
