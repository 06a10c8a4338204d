"""Gears as the compiler takes them, and as the config of an ONNX model has them."""

from collections.abc import Sequence


def atc_flags(inputs: Sequence[str], batches: Sequence[int], lengths: Sequence[int]) -> tuple[str, ...]:
    """Return the flags of `atc` that make every pair of a batch and a length a gear; inputs are `[batch, length]`.

    Both axes are -1 even if all gears agree in one: what is fixed could not be padded by the server.
    """
    if len(batches) == len(lengths) == 1:
        # The compiler takes two gears or more.
        shapes = ";".join(f"{name}:{batches[0]},{lengths[0]}" for name in inputs)
        return ("--input_format=ND", f"--input_shape={shapes}")
    shapes = ";".join(f"{name}:-1,-1" for name in inputs)
    gears = ";".join(",".join([f"{batch},{length}"] * len(inputs)) for batch in batches for length in lengths)
    return ("--input_format=ND", f"--input_shape={shapes}", f"--dynamic_dims={gears}")


def gears_parameter(batches: Sequence[int], lengths: Sequence[int]) -> str:
    """Return the value of `parameters { key: "gears" }` of an ONNX model's config."""
    return f"{','.join(map(str, batches))} x {','.join(map(str, lengths))}"
