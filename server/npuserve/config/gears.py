"""What a compiled model's gears say about batching and lengths."""

from npuserve.core.signature import ModelSignature


def can_batch(signature: ModelSignature) -> bool:
    """Say whether the first dimension of every input and output is variable."""
    return bool(signature.inputs) and all(spec.shape[:1] == (-1,) for spec in (*signature.inputs, *signature.outputs))


def largest_batch(signature: ModelSignature) -> int:
    """Return the rows of the largest gear of a model that can batch."""
    return max((gear.input_shapes[0][0] for gear in signature.gears), default=0)


def longest_input(signature: ModelSignature, index: int, axis: int) -> int:
    """Return the largest extent of an input's axis over all gears."""
    return max((gear.input_shapes[index][axis] for gear in signature.gears), default=0)
