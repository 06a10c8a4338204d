"""How far an OM may be from ONNX Runtime: what the settings say, or else what its precision can give.

The project's limits are of float32. A lower precision rounds every value to the bits that its type has, so its error
grows with the values: a limit in absolute terms would ask more of a model with large logits than of one with small
ones. Where a setting is left out, the limit is therefore a share of the reference's own values: of the largest one for
the largest error, of their root mean square for the mean error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from npuserve.migrate.chain.gates import Check
from npuserve.migrate.chain.settings import CompareSettings, Settings
from npuserve.migrate.compare.given import precision_mode
from npuserve.migrate.compare.precision import BFLOAT16, FLOAT16, INT8, Target, target_of

Array = npt.NDArray[Any]

FLOAT32_MODE = "must_keep_origin_dtype"
MIN_COSINE, MAX_ABS_ERROR, MEAN_ABS_ERROR = 0.999, 1e-3, 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What a precision may be off. largest: of the largest value. mean: of the values' root mean square.

    together: the cosine is that of all samples, not the least of one.
    """

    min_cosine: float
    largest: float
    mean: float
    together: bool = False


# A type's roundoff is half the distance of neighbours, of the value: 2^-11 in float16, 2^-8 in bfloat16. What a network
# of some hundred roundings ends with is a few of them: encoders of 6 layers, all in float16, gave 2.6 and 3.7 of the
# largest logit, and 1.0 and 1.2 of the mean; the shares are 8 and 4.
# In int8 a tensor has 256 steps from its least value to its largest, wherever most of its values lie: there the
# labelled set decides, and these shares only find what is broken. A sample whose logits are all near zero has no stable
# direction then: a classifier with a cosine of 0.996 over 64 samples had one of 0.04 in one of them. Its logits were
# off by 0.17 of the largest and by 0.073 of the mean, those of a tagger, which has 50,000, by 0.29 and 0.070.
_SHARES: Mapping[Target, Share] = {
    FLOAT16: Share(min_cosine=0.999, largest=8 * 2**-11, mean=4 * 2**-11),
    BFLOAT16: Share(min_cosine=0.999, largest=8 * 2**-8, mean=4 * 2**-8),
    INT8: Share(min_cosine=0.98, largest=0.5, mean=0.1, together=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of one output. together: min_cosine is of all samples at once. why: where they come from, in words."""

    output: str
    min_cosine: float
    max_abs: float
    mean_abs: float
    together: bool
    why: str

    def checks(self, cosine: float, max_abs: float, mean_abs: float) -> tuple[Check, ...]:
        """Return the gate's checks of values that were measured."""
        name = self.output
        of = f"all {name} together" if self.together else name
        return (
            Check(name=f"cosine of {of}", value=cosine, sense="above", limit=self.min_cosine),
            Check(name=f"max abs error of {name}", value=max_abs, sense="below", limit=self.max_abs),
            Check(name=f"mean abs error of {name}", value=mean_abs, sense="below", limit=self.mean_abs),
        )

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return asdict(self)


def limits_of(settings: CompareSettings, mode: str, expected: Sequence[Mapping[str, Array]]) -> dict[str, Limits]:
    """Return the limits of every floating-point output. mode: atc's precision mode. expected: the reference's answers.

    A limit that the settings give holds in every precision.
    """
    floats = [name for name, value in expected[0].items() if value.dtype.kind == "f"]
    return {name: _limits(name, settings, mode, [sample[name] for sample in expected]) for name in floats}


def served_mode(settings: Settings) -> str:
    """Return the precision mode that the served model computes in: ONNX Runtime keeps float32."""
    return precision_mode(settings.compile) if settings.serve.backend == "ascend" else FLOAT32_MODE


def is_rounded(mode: str) -> bool:
    """Whether a precision mode rounds to less than float32."""
    return target_of(mode) in _SHARES


def least_cosine(settings: CompareSettings, mode: str) -> float:
    """Return the limit of a single answer's cosine, which does not depend on the outputs; -1 where it tells nothing."""
    if settings.min_cosine is not None:
        return settings.min_cosine
    share = _SHARES.get(target_of(mode))
    if share is None:
        return MIN_COSINE
    return -1.0 if share.together else share.min_cosine


def _limits(name: str, settings: CompareSettings, mode: str, values: Sequence[Array]) -> Limits:
    share = _SHARES.get(target_of(mode))
    largest, mean = _magnitude(values)
    if share is None:
        max_abs, mean_abs = MAX_ABS_ERROR, MEAN_ABS_ERROR
        why = "float32"
    else:
        # Outputs near zero are computed from larger values: nothing is asked that float32 need not reach.
        max_abs, mean_abs = max(share.largest * largest, MAX_ABS_ERROR), max(share.mean * mean, MEAN_ABS_ERROR)
        why = (
            f"{target_of(mode).name}: {share.largest:.2g} of the largest value ({largest:.3g}), {share.mean:.2g} of "
            f"their root mean square ({mean:.3g})"
        )
    together = share is not None and share.together and settings.min_cosine is None
    given = [key for key in ("min_cosine", "max_abs_error", "mean_abs_error") if getattr(settings, key) is not None]
    return Limits(
        output=name,
        min_cosine=share.min_cosine if together and share is not None else least_cosine(settings, mode),
        max_abs=max_abs if settings.max_abs_error is None else settings.max_abs_error,
        mean_abs=mean_abs if settings.mean_abs_error is None else settings.mean_abs_error,
        together=together,
        why="; ".join([*([why] if len(given) < 3 else []), *([f"settings: {', '.join(given)}"] if given else [])]),
    )


def _magnitude(values: Sequence[Array]) -> tuple[float, float]:
    """Return the largest absolute value and the root mean square of those that are finite."""
    flat = np.concatenate([value.astype(np.float64).ravel() for value in values])
    finite = flat[np.isfinite(flat)]
    if not finite.size:
        return 0.0, 0.0
    return float(np.abs(finite).max()), float(np.sqrt(np.mean(finite * finite)))
