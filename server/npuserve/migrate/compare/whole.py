"""The whole model's outputs against ONNX Runtime's: what the gate asks."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from npuserve.migrate.chain.gates import Check, failed
from npuserve.migrate.compare.difference import BROKEN, cosine
from npuserve.migrate.compare.limits import Limits
from npuserve.migrate.errors import MigrationError

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """One output over all samples. cosine: of the sample that has the least. cosine_together: of all at once."""

    output: str
    cosine: float
    cosine_together: float
    max_abs: float
    mean_abs: float
    worst_sample: int

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return asdict(self)

    def checks(self, limits: Mapping[str, Limits]) -> tuple[Check, ...]:
        """Return the gate's checks of this output. limits: of all outputs, by name."""
        limit = limits[self.output]
        cosine = self.cosine_together if limit.together else self.cosine
        return limit.checks(cosine, self.max_abs, self.mean_abs)


def agreements(actual: Sequence[Mapping[str, Array]], expected: Sequence[Mapping[str, Array]]) -> tuple[Agreement, ...]:
    """Compare all samples. The OM's outputs are found by name, or by place if no name fits. Raises MigrationError."""
    found = []
    for place, output in enumerate(expected[0]):
        if expected[0][output].dtype.kind != "f":
            continue
        pairs = [(_output(mine, output, place), right[output]) for mine, right in zip(actual, expected, strict=True)]
        found.append(_agreement(output, pairs))
    if not found:
        raise MigrationError("the model has no floating-point output to compare")
    return tuple(found)


def hold(found: Sequence[Agreement], limits: Mapping[str, Limits]) -> bool:
    """Whether every check of every output passes."""
    return not failed([check for each in found for check in each.checks(limits)])


def _output(outputs: Mapping[str, Array], name: str, place: int) -> Array:
    if name in outputs:
        return outputs[name]
    named = [value for key, value in outputs.items() if name in key.split(":")]
    if named:
        return named[0]
    if place >= len(outputs):
        raise MigrationError(f"the OM has no output for '{name}'; it has {', '.join(outputs)}")
    return list(outputs.values())[place]


def _agreement(output: str, pairs: Sequence[tuple[Array, Array]]) -> Agreement:
    cosines, largest, total, elements = [], [], 0.0, 0
    lefts, rights = [], []
    for mine, right in pairs:
        if mine.shape != right.shape:
            raise MigrationError(
                f"the OM's output '{output}' has the shape {list(mine.shape)}, ONNX Runtime's {list(right.shape)}"
            )
        left, wanted = mine.astype(np.float64).ravel(), right.astype(np.float64).ravel()
        finite = bool(np.isfinite(left).all() and np.isfinite(wanted).all())
        error = np.abs(left - wanted) if finite else np.full(left.shape, BROKEN)
        lefts.append(left)
        rights.append(wanted)
        cosines.append(_cosine(left, wanted))
        largest.append(float(error.max(initial=0.0)))
        total += float(error.sum())
        elements += error.size
    return Agreement(
        output=output,
        cosine=min(cosines),
        cosine_together=_cosine(np.concatenate(lefts), np.concatenate(rights)),
        max_abs=max(largest),
        mean_abs=total / max(elements, 1),
        worst_sample=int(np.argmax(largest)),
    )


def _cosine(left: Array, right: Array) -> float:
    return cosine(left, right) if np.isfinite(left).all() and np.isfinite(right).all() else 0.0
