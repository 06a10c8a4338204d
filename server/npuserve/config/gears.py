"""What a compiled model's gears say about batching and lengths.

A signature's shape has -1 in an input where the gears may differ, but in an output only where they do: with gears of
one batch size or one length the output looks fixed, so outputs are judged by their gears. A model without gears runs
any shape that its signature allows.
"""

from npuserve.core.signature import ModelSignature


def can_batch(signature: ModelSignature) -> bool:
    """Say whether the first dimension of every input and output is the batch."""
    return bool(signature.inputs) and all(
        [spec.shape[:1] == (-1,) for spec in signature.inputs]
        + [output_follows_batch(signature, index) for index in range(len(signature.outputs))]
    )


def output_follows_batch(signature: ModelSignature, output: int) -> bool:
    """Say whether an output's first dimension is the first input's, in every gear."""
    if not signature.gears:
        return signature.outputs[output].shape[:1] == (-1,)
    return all(gear.output_shapes[output][:1] == gear.input_shapes[0][:1] != () for gear in signature.gears)


def output_follows_length(signature: ModelSignature, output: int, axis: int) -> bool:
    """Say whether an output's axis has a request's length in every gear.

    The length is the first variable axis of the inputs that is not the batch, as the engine takes it.
    """
    if not signature.gears:
        return signature.outputs[output].shape[axis] == -1
    length = next(
        (
            (index, axis)
            for index, spec in enumerate(signature.inputs)
            for axis, dim in enumerate(spec.shape)
            if axis > 0 and dim == -1
        ),
        None,
    )
    return length is not None and all(
        gear.output_shapes[output][axis] == gear.input_shapes[length[0]][length[1]] for gear in signature.gears
    )


def largest_batch(signature: ModelSignature) -> int | None:
    """Return the rows of the largest gear of a model that can batch; None if any number is right."""
    return max((gear.input_shapes[0][0] for gear in signature.gears), default=None)


def longest_input(signature: ModelSignature, index: int, axis: int) -> int | None:
    """Return the largest extent of an input's axis over all gears; None if any is right."""
    return max((gear.input_shapes[index][axis] for gear in signature.gears), default=None)
