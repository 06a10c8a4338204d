"""Whether two servers' answers to one request agree, and if not, in what."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from npuserve.migrate.shadow.answers import Tensor
from npuserve.migrate.shadow.options import Limits

Array = npt.NDArray[Any]

# The reference itself hardly prefers its choice: which of the two is largest is then no matter of right or wrong.
_NEAR_TIE = 1e-3
_SHOWN = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputDifference:
    """What was found for one output.

    reason: "" if it agrees; else `missing`, `datatype`, `shape`, `values` (integers and texts that are not equal),
    `nonfinite`, `cosine`, `error` or `argmax`. detail: in words.
    cosine, error: of the worst row, floats only. choices, same_choices: rows of the last axis, and those whose largest
    element is the same, near ties included.
    """

    name: str
    reason: str = ""
    detail: str = ""
    cosine: float | None = None
    max_abs: float | None = None
    error: float | None = None
    choices: int = 0
    same_choices: int = 0


@dataclass(frozen=True, slots=True)
class Difference:
    """What was found for one request. reason: the first output's that disagrees, or `status`."""

    reason: str
    detail: str
    outputs: tuple[OutputDifference, ...] = ()

    @property
    def cosine(self) -> float | None:
        """The least of all outputs; None if there are no floats."""
        return min((output.cosine for output in self.outputs if output.cosine is not None), default=None)

    @property
    def max_abs(self) -> float | None:
        """The largest error of all outputs."""
        return max((output.max_abs for output in self.outputs if output.max_abs is not None), default=None)


def compare_statuses(live: tuple[str, str], reference: tuple[str, str]) -> Difference:
    """Compare the endings of a request that at least one server refused: names of codes, with their texts."""
    if live[0] == reference[0]:
        return Difference("", "")
    ours, theirs = (f"{code}{': ' if text else ''}{text}" for code, text in (live, reference))
    return Difference("status", f"live {ours}, reference {theirs}")


def compare_outputs(
    live: dict[str, Tensor], reference: dict[str, Tensor], limits: Limits, classes: Collection[str] = ()
) -> Difference:
    """Compare two answers, output by output. classes: the outputs that are texts `SCORE:INDEX:LABEL`."""
    found = [
        _compare(name, live.get(name), reference.get(name), limits, name in classes)
        for name in dict.fromkeys((*reference, *live))
    ]
    worst = next((output for output in found if output.reason), None)
    if worst is None:
        return Difference("", "", tuple(found))
    return Difference(worst.reason, f"'{worst.name}': {worst.detail}", tuple(found))


def _compare(
    name: str, live: Tensor | None, reference: Tensor | None, limits: Limits, is_classes: bool
) -> OutputDifference:
    if live is None or reference is None:
        where = "the reference" if reference is None else "the live answer"
        return OutputDifference(name=name, reason="missing", detail=f"{where} does not have it")
    if live.datatype != reference.datatype:
        detail = f"live {live.datatype}, reference {reference.datatype}"
        return OutputDifference(name=name, reason="datatype", detail=detail)
    if live.values.shape != reference.values.shape:
        detail = f"live {list(live.values.shape)}, reference {list(reference.values.shape)}"
        return OutputDifference(name=name, reason="shape", detail=detail)
    if live.is_float:
        return _compare_floats(name, live.values, reference.values, limits)
    if is_classes:
        return _compare_classes(name, live.values, reference.values, limits)
    return _compare_exactly(name, live.values, reference.values)


def _compare_exactly(name: str, live: Array, reference: Array) -> OutputDifference:
    unequal = np.flatnonzero(live.ravel() != reference.ravel())
    if not unequal.size:
        return OutputDifference(name=name)
    first = int(unequal[0])
    detail = (
        f"{unequal.size} of {live.size} elements differ, the first is [{first}]: live "
        f"{_shown(live.ravel()[first])}, reference {_shown(reference.ravel()[first])}"
    )
    return OutputDifference(name=name, reason="values", detail=detail)


def _compare_floats(name: str, live: Array, reference: Array, limits: Limits) -> OutputDifference:
    if not live.size:
        return OutputDifference(name=name)
    finite = np.isfinite(live) & np.isfinite(reference)
    same = (live == reference) | (np.isnan(live) & np.isnan(reference))
    broken = int((~finite & ~same).sum())
    if broken:
        detail = f"{broken} of {live.size} elements are not finite on one side alone"
        return OutputDifference(name=name, reason="nonfinite", detail=detail, cosine=0.0)
    ours, theirs = (np.where(finite, values, 0.0) for values in (live, reference))
    cosine, error = _worst_row(ours, theirs)
    choices, flipped = _choices(ours, theirs)
    reason, detail = "", ""
    if cosine < limits.min_cosine:
        reason, detail = "cosine", f"cosine {cosine:.6f}, below {limits.min_cosine:g}"
    elif error > limits.max_error:
        reason, detail = "error", f"the difference is {error:.2%} of the reference, above {limits.max_error:.2%}"
    elif flipped:
        reason, detail = "argmax", f"the largest element is another in {flipped} of {choices} rows"
    return OutputDifference(
        name=name,
        reason=reason,
        detail=detail,
        cosine=cosine,
        max_abs=float(np.abs(ours - theirs).max()),
        error=error,
        choices=choices,
        same_choices=choices - flipped,
    )


def _worst_row(live: Array, reference: Array) -> tuple[float, float]:
    """Return the least cosine and the largest error, each of any row: one right row is not to hide a wrong one."""
    rows = live.shape[0] if live.ndim > 1 else 1
    ours, theirs = live.reshape(rows, -1), reference.reshape(rows, -1)
    ours_length, theirs_length = _lengths(ours), _lengths(theirs)
    product = ours_length * theirs_length
    cosines = np.einsum("ij,ij->i", ours, theirs) / np.where(product == 0, 1.0, product)
    off = _lengths(ours - theirs)
    # Exactly, where rounding makes almost 1 of it, and where both are zero.
    cosines = np.where(off == 0, 1.0, np.minimum(cosines, 1.0))
    errors = off / np.where(theirs_length == 0, 1.0, theirs_length)
    return float(cosines.min()), float(errors.max())


def _lengths(rows: Array) -> Array:
    lengths: Array = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    return lengths


def _choices(live: Array, reference: Array) -> tuple[int, int]:
    """Return how often an axis of two or more elements has a largest one, and how often it is another."""
    if live.ndim < 1 or live.shape[-1] < 2:
        return 0, 0
    ours, theirs = live.reshape(-1, live.shape[-1]), reference.reshape(-1, live.shape[-1])
    chosen, expected = ours.argmax(axis=1), theirs.argmax(axis=1)
    rows = np.flatnonzero(chosen != expected)
    margin = theirs[rows, expected[rows]] - theirs[rows, chosen[rows]]
    return len(ours), int((margin > _NEAR_TIE * np.abs(theirs[rows]).max(axis=1, initial=0.0)).sum())


def _compare_classes(name: str, live: Array, reference: Array, limits: Limits) -> OutputDifference:
    """Compare texts `SCORE:INDEX:LABEL`: the scores as numbers, the rest as texts."""
    largest = 0.0
    for place, (ours, theirs) in enumerate(zip(live.ravel(), reference.ravel(), strict=True)):
        our_score, _, our_class = ours.partition(b":")
        their_score, _, their_class = theirs.partition(b":")
        off = _distance(our_score, their_score)
        if our_class != their_class or off > limits.max_error:
            detail = f"[{place}]: live {_shown(ours)}, reference {_shown(theirs)}"
            return OutputDifference(name=name, reason="values", detail=detail)
        largest = max(largest, abs(float(our_score) - float(their_score)) if ours != theirs else 0.0)
    return OutputDifference(name=name, max_abs=largest)


def _distance(live: bytes, reference: bytes) -> float:
    """Return how far two scores lie apart, as a share of the reference."""
    if live == reference:
        return 0.0
    try:
        ours, theirs = float(live), float(reference)
    except ValueError:
        return math.inf
    return abs(ours - theirs) / abs(theirs) if theirs else math.inf


def _shown(value: Any) -> str:
    text = repr(value.decode(errors="replace") if isinstance(value, bytes) else value.item())
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
