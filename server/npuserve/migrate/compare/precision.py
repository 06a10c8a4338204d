"""What a precision mode of `atc` computes in, and which errors are that type's own."""

from dataclasses import dataclass
from typing import Literal

Type = Literal["float32", "float16", "bfloat16"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The narrowest float type of a compiled model.

    name: as users know it. noise: the relative error (of a tensor's root mean square) that one operator may have of its
    own, about ten times what rounding its inputs, weights and output gives.
    """

    name: str
    type: Type
    noise: float
    lowers: bool = True


FLOAT32 = Target(name="float32", type="float32", noise=1e-5, lowers=False)
FLOAT16 = Target(name="float16", type="float16", noise=5e-3)
BFLOAT16 = Target(name="bfloat16", type="bfloat16", noise=4e-2)
INT8 = Target(name="int8", type="float16", noise=1e-1)

_TARGETS = {
    "must_keep_origin_dtype": FLOAT32,
    "origin": FLOAT32,
    "allow_fp32_to_bf16": BFLOAT16,
    "allow_mix_precision_bf16": BFLOAT16,
    "mixed_bfloat16": BFLOAT16,
    "int8": INT8,
}


def target_of(mode: str) -> Target:
    """Return what a mode computes in; those that are not listed lower to half precision somewhere."""
    return _TARGETS.get(mode, FLOAT16)
