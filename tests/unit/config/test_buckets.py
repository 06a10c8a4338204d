"""Buckets: when they are on, what pads, and which contradictions are refused at load."""

from dataclasses import replace

import pytest
from google.protobuf import text_format
from npuserve._proto import POOL
from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.config.buckets import BucketOptions, bucket_options
from npuserve.config.complete import complete_model_config
from npuserve.core.dtype import Dtype
from npuserve.core.errors import ServeError
from npuserve.core.signature import Gear, ModelSignature, TensorSpec
from npuserve.core.status import StatusCode
from support.signatures import bert, static

LENGTHS = ((1, 16), (4, 16), (4, 64))


def inputs_named(*names: str, dtype: Dtype = Dtype.INT64) -> ModelSignature:
    """A model of gears of two lengths with these inputs, and a fixed one, `bias`, if it is among the names."""
    variable = [name for name in names if name != "bias"]
    specs = [TensorSpec(name, dtype, (-1, -1)) for name in variable]
    fixed = [TensorSpec("bias", Dtype.FP32, (-1, 3))] if "bias" in names else []
    gears = [Gear(((rows, length),) * len(specs) + ((rows, 3),) * len(fixed), ((rows, 2),)) for rows, length in LENGTHS]
    return ModelSignature((*specs, *fixed), (TensorSpec("logits", Dtype.FP32, (-1, 2)),), tuple(gears))


def options(signature: ModelSignature, text: str = "", **parameters: str) -> BucketOptions:
    config = ModelConfig()
    text_format.Parse(f'name: "m" backend: "ascend" {text}', config, descriptor_pool=POOL)
    for key, value in parameters.items():
        config.parameters[key].string_value = value
    return bucket_options(complete_model_config(config, signature, device_count=1), signature)


def refusal(signature: ModelSignature, text: str = "", **parameters: str) -> str:
    with pytest.raises(ServeError) as caught:
        options(signature, text, **parameters)
    assert caught.value.status is StatusCode.INVALID_ARGUMENT
    prefix = "model 'm': parameter "
    assert caught.value.message.startswith(prefix)
    return caught.value.message.removeprefix(prefix)


@pytest.mark.parametrize(
    ("names", "mask"),
    [
        (("input_ids", "attention_mask"), "attention_mask"),
        (("input_ids", "input_mask", "segment_ids"), "input_mask"),
        (("input_ids", "attention_mask", "token_type_ids", "position_ids"), "attention_mask"),
    ],
)
def test_berts_inputs_switch_buckets_on_and_tell_the_mask(names: tuple[str, ...], mask: str) -> None:
    assert options(inputs_named(*names)) == BucketOptions(is_on=True, mask=mask)


@pytest.mark.parametrize(
    ("signature", "text"),
    [
        (inputs_named("input_ids", "token_type_ids"), ""),
        (inputs_named("attention_mask"), ""),
        (inputs_named("input_ids", "attention_mask", "input_mask"), ""),
        (inputs_named("input_ids", "attention_mask", "lengths"), ""),
        (bert(gears=((1, 128), (8, 128))), ""),
        (bert(gears=((1, 16), (1, 32))), "max_batch_size: 1"),
        (bert(gears=LENGTHS), "dynamic_batching { preserve_ordering: true }"),
        (replace(bert(), gears=()), ""),
    ],
    ids=["no mask", "mask alone", "two masks", "another input", "one length", "no batching", "in order", "no gears"],
)
def test_nothing_else_does(signature: ModelSignature, text: str) -> None:
    assert not options(signature, text).is_on


def test_off_is_off_but_requests_are_padded_as_the_config_says() -> None:
    found = options(bert(), buckets="off", bucket_detect_padding="on", **{"bucket_padding.input_ids": "7"})
    assert found == BucketOptions(mask="attention_mask", detects_padding=True, padding={"input_ids": 7})


def test_any_model_with_a_length_that_varies_may_switch_them_on() -> None:
    assert options(inputs_named("x", "bias"), buckets="on") == BucketOptions(is_on=True)
    assert options(bert(gears=((1, 128), (8, 128))), buckets="on") == BucketOptions(is_on=True, mask="attention_mask")


def test_every_key_arrives() -> None:
    found = options(
        inputs_named("ids", "real"),
        buckets="on",
        bucket_mask="real",
        bucket_detect_padding="on",
        bucket_max_overtaken="3",
        **{"bucket_padding.ids": "-100", "bucket_padding.real": "0"},
    )
    assert found == BucketOptions(
        is_on=True, mask="real", padding={"ids": -100, "real": 0}, detects_padding=True, max_overtaken=3
    )


@pytest.mark.parametrize(
    ("signature", "text", "reason"),
    [
        (
            bert(gears=((1, 16), (1, 32))),
            "max_batch_size: 1",
            "requests share batches only with 'dynamic_batching' and a 'max_batch_size' above 0",
        ),
        (
            replace(bert(), gears=()),
            "",
            "backend 'ascend' runs any shape of this model: there are no gears to choose from",
        ),
        (inputs_named("bias"), "", "no input has a length that varies: the gears differ in their rows alone"),
        (
            bert(),
            "dynamic_batching { preserve_ordering: true }",
            "requests that overtake others contradict 'preserve_ordering'",
        ),
    ],
)
def test_buckets_that_cannot_be_are_refused_with_the_reason(signature: ModelSignature, text: str, reason: str) -> None:
    assert refusal(signature, text, buckets="on") == f"'buckets' is 'on', but {reason}; set it to 'off' or 'auto'"


def test_a_model_that_does_not_batch_has_no_buckets() -> None:
    assert refusal(static(), buckets="on").startswith("'buckets' is 'on', but requests share batches only with")


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"buckets": "yes"}, "'buckets' must be 'auto', 'on' or 'off', got 'yes'"),
        (
            {"bucket_mask": "mask"},
            "'bucket_mask' must name an input of the model, which are: input_ids, attention_mask, bias; got 'mask'",
        ),
        ({"bucket_mask": "bias"}, "'bucket_mask' names input 'bias', whose length does not vary: it is never padded"),
        (
            {"bucket_padding.x": "1"},
            "'bucket_padding.x' must name an input of the model, which are: input_ids, attention_mask, bias; got 'x'",
        ),
        (
            {"bucket_padding.bias": "1"},
            "'bucket_padding.bias' names input 'bias', whose length does not vary: it is never padded",
        ),
        ({"bucket_padding.input_ids": "pad"}, "'bucket_padding.input_ids' must be a number, got 'pad'"),
        (
            {"bucket_padding.input_ids": "0.5"},
            "'bucket_padding.input_ids' must be a whole number in -9223372036854775808 to 9223372036854775807 for type "
            "INT64, got '0.5'",
        ),
        (
            {"bucket_padding.attention_mask": "1"},
            "'bucket_padding.attention_mask' must be 0: 'attention_mask' is the mask, got '1'",
        ),
        ({"bucket_detect_padding": "maybe"}, "'bucket_detect_padding' must be 'on' or 'off', got 'maybe'"),
        (
            {"bucket_max_overtaken": "-1"},
            "'bucket_max_overtaken' must be a whole number in 0 to 1099511627776, got '-1'",
        ),
    ],
)
def test_values_that_are_wrong_are_refused_even_where_buckets_are_off(parameters: dict[str, str], reason: str) -> None:
    signature = inputs_named("input_ids", "attention_mask", "bias")
    assert refusal(signature, **{"buckets": "off", **parameters}) == reason
    assert refusal(signature, **parameters) == reason


def test_padding_can_be_detected_only_with_a_mask() -> None:
    assert refusal(inputs_named("ids"), buckets="on", bucket_detect_padding="on") == (
        "'bucket_detect_padding' is 'on', but the model has no mask: name the input in 'bucket_mask', or set it to "
        "'off'"
    )


@pytest.mark.parametrize(
    ("dtype", "right", "wrong"),
    [
        (Dtype.INT8, "-128", "128"),
        (Dtype.UINT8, "255", "-1"),
        (Dtype.FP16, "65504", "65505"),
        (Dtype.BF16, "-3e38", "1e39"),
        (Dtype.FP32, "0.5", "1e39"),
        (Dtype.BOOL, "1", "2"),
    ],
)
def test_padding_fits_the_type_of_its_input(dtype: Dtype, right: str, wrong: str) -> None:
    signature = inputs_named("x", dtype=dtype)
    found = options(signature, buckets="on", **{"bucket_padding.x": right})
    assert found.padding == {"x": float(right)}
    assert f"got '{wrong}'" in refusal(signature, buckets="on", **{"bucket_padding.x": wrong})


def test_text_cannot_be_padded() -> None:
    reason = refusal(inputs_named("x", dtype=Dtype.BYTES), buckets="on", **{"bucket_padding.x": "0"})
    assert reason == "'bucket_padding.x' names input 'x' of type STRING: only numbers can be padded"
