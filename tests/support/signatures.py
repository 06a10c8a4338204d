"""Signatures of compiled models, as a backend would describe them."""

from npuserve.core.dtype import Dtype
from npuserve.core.signature import Gear, ModelSignature, TensorSpec


def common_shape(shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(sizes[0] if len(set(sizes)) == 1 else -1 for sizes in zip(*shapes, strict=True))


def bert(
    gears: tuple[tuple[int, int], ...] = ((1, 32), (8, 32), (8, 128)), hidden: int = 16, labels: int = 2
) -> ModelSignature:
    """A BERT with (batch, length) gears: two INT64 inputs, a row per token and a row per sequence."""
    compiled = tuple(
        Gear(input_shapes=((rows, length),) * 2, output_shapes=((rows, length, hidden), (rows, labels)))
        for rows, length in gears
    )
    tokens, logits = (common_shape([gear.output_shapes[index] for gear in compiled]) for index in range(2))
    return ModelSignature(
        inputs=tuple(TensorSpec(name, Dtype.INT64, (-1, -1)) for name in ("input_ids", "attention_mask")),
        outputs=(TensorSpec("tokens", Dtype.FP32, tokens), TensorSpec("logits", Dtype.FP32, logits)),
        gears=compiled,
    )


def static(
    input_shape: tuple[int, ...] = (1, 4), output_shape: tuple[int, ...] | None = None, dtype: Dtype = Dtype.FP32
) -> ModelSignature:
    """A model of one gear with fixed shapes: `x` to `y`."""
    output_shape = input_shape if output_shape is None else output_shape
    return ModelSignature(
        inputs=(TensorSpec("x", dtype, input_shape),),
        outputs=(TensorSpec("y", dtype, output_shape),),
        gears=(Gear((input_shape,), (output_shape,)),),
    )
