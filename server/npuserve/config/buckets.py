"""Which requests of different lengths may share a batch, and what fills the shorter ones: what `parameters` say of it.

A bucket is the gears of one row shape. The keys stand in docs/scheduling.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.config.parameters import BUCKET_PADDING, choice, is_on, number, text_of, whole_number, wrong
from npuserve.core.dtype import Dtype
from npuserve.core.signature import ModelSignature, TensorSpec

_MASKS = ("attention_mask", "input_mask")
_BERT_INPUTS = frozenset({*_MASKS, "input_ids", "token_type_ids", "segment_ids", "position_ids"})
_BUCKETS, _MASK, _DETECT, _OVERTAKEN = "buckets", "bucket_mask", "bucket_detect_padding", "bucket_max_overtaken"
_MAX_OVERTAKEN = 0
_LARGEST_FLOATS = {
    Dtype.FP16: float(np.finfo(np.float16).max),
    Dtype.BF16: (2 - 2**-7) * 2.0**127,
    Dtype.FP32: float(np.finfo(np.float32).max),
    Dtype.FP64: float(np.finfo(np.float64).max),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketOptions:
    """How requests are padded, and whether those of different lengths share a batch.

    is_on: whether they do; the rest holds in any case. mask: the input that is 0 beyond a request's length; "" if there
    is none. padding: by input, what fills it there where that is not 0. detects_padding: whether trailing positions
    whose mask is 0 are cut before a batch is made. max_overtaken: how many batches with later requests may be made
    before a request's own.
    """

    is_on: bool = False
    mask: str = ""
    padding: Mapping[str, float] = field(default_factory=dict)
    detects_padding: bool = False
    max_overtaken: int = _MAX_OVERTAKEN


def bucket_options(config: ModelConfig, signature: ModelSignature) -> BucketOptions:
    """Read the options of a completed config that agrees with its model; unset ones are completed for BERT's inputs.

    Raises ServeError: INVALID_ARGUMENT for values that are none, and for what contradicts the model or the config.
    """
    wanted = choice(config, _BUCKETS, ("auto", "on", "off"), default="auto")
    varying = {spec.name: spec for spec in signature.inputs if -1 in spec.shape[1:]}
    mask = _mask(config, signature, varying)
    gains = _is_bert(signature, mask) and _gains(config, signature)
    options = BucketOptions(
        is_on=wanted == "on" or (wanted == "auto" and gains),
        mask=mask,
        padding=_padding(config, signature, varying, mask),
        detects_padding=is_on(config, _DETECT, default=False),
        max_overtaken=whole_number(config, _OVERTAKEN, default=_MAX_OVERTAKEN),
    )
    if options.detects_padding and not mask:
        raise wrong(
            config, _DETECT, f"is 'on', but the model has no mask: name the input in '{_MASK}', or set it to 'off'"
        )
    if wanted == "on":
        _require_lengths(config, signature, varying)
    return options


def bucket_settings_without_effect(config: ModelConfig, signature: ModelSignature) -> list[str]:
    """Return the keys of a valid config that change nothing, as the model has no buckets, or nothing to pad."""
    if bucket_options(config, signature).is_on:
        return []
    keys = {_OVERTAKEN} if signature.gears else {_MASK, _DETECT, _OVERTAKEN}
    return [
        key
        for key in sorted(config.parameters)
        if key in keys or (key.startswith(BUCKET_PADDING) and not signature.gears)
    ]


def _require_lengths(config: ModelConfig, signature: ModelSignature, varying: Mapping[str, TensorSpec]) -> None:
    """Refuse buckets that cannot be."""
    if not (config.HasField("dynamic_batching") and config.max_batch_size > 0):
        reason = "requests share batches only with 'dynamic_batching' and a 'max_batch_size' above 0"
    elif not signature.gears:
        reason = f"backend '{config.backend}' runs any shape of this model: there are no gears to choose from"
    elif not varying:
        reason = "no input has a length that varies: the gears differ in their rows alone"
    elif config.dynamic_batching.preserve_ordering:
        reason = "requests that overtake others contradict 'preserve_ordering'"
    else:
        return
    raise wrong(config, _BUCKETS, f"is 'on', but {reason}; set it to 'off' or 'auto'")


def _gains(config: ModelConfig, signature: ModelSignature) -> bool:
    """Say whether requests may share batches, and the model has more than one length for them."""
    batching = config.dynamic_batching
    row_shapes = {tuple(shape[1:] for shape in gear.input_shapes) for gear in signature.gears}
    batches = config.HasField("dynamic_batching") and config.max_batch_size > 0
    return batches and not batching.preserve_ordering and len(row_shapes) > 1


def _is_bert(signature: ModelSignature, mask: str) -> bool:
    """Say whether padding cannot change what the model answers, as far as its inputs' names tell."""
    names = {spec.name for spec in signature.inputs}
    return mask in names and names <= _BERT_INPUTS | {mask} and len(names) > 1


def _mask(config: ModelConfig, signature: ModelSignature, varying: Mapping[str, TensorSpec]) -> str:
    if _MASK not in config.parameters:
        known = [name for name in _MASKS if name in varying]
        return known[0] if len(known) == 1 else ""
    mask = text_of(config, _MASK)
    _require_padded(config, _MASK, mask, signature, varying)
    return mask


def _padding(
    config: ModelConfig, signature: ModelSignature, varying: Mapping[str, TensorSpec], mask: str
) -> dict[str, float]:
    padding: dict[str, float] = {}
    for key in sorted(config.parameters):
        if not key.startswith(BUCKET_PADDING):
            continue
        name = key.removeprefix(BUCKET_PADDING)
        _require_padded(config, key, name, signature, varying)
        value = number(config, key)
        if name == mask and value != 0:
            raise wrong(config, key, f"must be 0: '{name}' is the mask, got '{text_of(config, key)}'")
        _require_representable(config, key, varying[name].dtype, value)
        padding[name] = value
    return padding


def _require_padded(
    config: ModelConfig, key: str, name: str, signature: ModelSignature, varying: Mapping[str, TensorSpec]
) -> None:
    """Refuse an input that is not there or is never padded."""
    if name not in {spec.name for spec in signature.inputs}:
        allowed = ", ".join(spec.name for spec in signature.inputs)
        raise wrong(config, key, f"must name an input of the model, which are: {allowed}; got '{name}'")
    if name not in varying:
        raise wrong(config, key, f"names input '{name}', whose length does not vary: it is never padded")
    if varying[name].dtype is Dtype.BYTES:
        raise wrong(config, key, f"names input '{name}' of type STRING: only numbers can be padded")


def _require_representable(config: ModelConfig, key: str, dtype: Dtype, value: float) -> None:
    text = text_of(config, key)
    if dtype is Dtype.BOOL:
        if value not in (0, 1):
            raise wrong(config, key, f"must be 0 or 1 for type BOOL, got '{text}'")
        return
    if dtype in _LARGEST_FLOATS:
        if abs(value) > _LARGEST_FLOATS[dtype]:
            raise wrong(config, key, f"is beyond what type {dtype.value} holds, got '{text}'")
        return
    bounds = np.iinfo(dtype.numpy.str)
    if not value.is_integer() or not bounds.min <= value <= bounds.max:
        raise wrong(
            config, key, f"must be a whole number in {bounds.min} to {bounds.max} for type {dtype.value}, got '{text}'"
        )
