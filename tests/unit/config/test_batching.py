from dataclasses import replace

import pytest
from google.protobuf import text_format
from npuserve._proto import POOL
from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.config.batching import BatchingOptions, batching_options, checks_finite, settings_without_effect
from npuserve.config.buckets import BucketOptions
from npuserve.config.complete import complete_model_config
from npuserve.config.placement import InstancePlacement
from npuserve.config.scheduling import QueuePolicy, SchedulingOptions
from npuserve.core.errors import ServeError
from npuserve.core.signature import ModelSignature
from support.signatures import bert, static


def completed(text: str, signature: ModelSignature, device_count: int = 1) -> ModelConfig:
    config = ModelConfig()
    text_format.Parse('name: "m" backend: "ascend" ' + text, config, descriptor_pool=POOL)
    return complete_model_config(config, signature, device_count=device_count)


def options(text: str, signature: ModelSignature | None = None, device_count: int = 1) -> BatchingOptions:
    signature = signature or bert()
    return batching_options(completed(text, signature, device_count), signature, device_count=device_count)


def test_every_setting_of_the_batcher_arrives() -> None:
    text = (
        "max_batch_size: 4 dynamic_batching { preferred_batch_size: [ 2, 4 ] max_queue_delay_microseconds: 500 "
        "default_queue_policy { max_queue_size: 7 } } instance_group { count: 2 }"
    )
    assert options(text) == BatchingOptions(
        scheduling=SchedulingOptions(
            max_batch_size=4,
            dynamic_batching=True,
            preferred_batch_sizes=(2, 4),
            max_queue_delay_us=500,
            default_policy=QueuePolicy(max_size=7),
            variable_inputs=frozenset({"input_ids", "attention_mask"}),
        ),
        buckets=BucketOptions(is_on=True, mask="attention_mask"),
        instances=(InstancePlacement(device=0), InstancePlacement(device=0)),
        variable_output_axes=((1,), ()),
    )


@pytest.mark.parametrize(("text", "weight"), [("2.5", 2.5), ("1000", 1000), ("0.001", 0.001)])
def test_a_models_share_of_a_device_is_a_number(text: str, weight: float) -> None:
    assert options(f'parameters {{ key: "device_weight" value {{ string_value: "{text}" }} }}').device_weight == weight


@pytest.mark.parametrize("text", ["0", "-1", "1001", "nan", "much"])
def test_a_share_of_a_device_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ServeError, match="model 'm': parameter 'device_weight' must be "):
        options(f'parameters {{ key: "device_weight" value {{ string_value: "{text}" }} }}')


def test_a_model_that_does_not_batch_shares_no_executions() -> None:
    found = options("dynamic_batching { }", static((2, 3)))
    assert found.scheduling == SchedulingOptions()
    assert not found.buckets.is_on
    assert found.variable_output_axes == ((),)


def test_without_a_scheduler_every_request_is_an_execution() -> None:
    text = """
        max_batch_size: 8
        input { name: "input_ids" data_type: TYPE_INT64 dims: -1 }
        input { name: "attention_mask" data_type: TYPE_INT64 dims: -1 }
        output { name: "logits" data_type: TYPE_FP32 dims: 2 }
    """
    assert not options(text).scheduling.dynamic_batching


def test_an_axis_that_only_the_config_calls_variable_is_variable() -> None:
    one_length = bert(gears=((1, 128), (8, 128)))
    text = 'output { name: "tokens" data_type: TYPE_FP32 dims: [ -1, 16 ] }'
    assert options(text, one_length).variable_output_axes == ((1,), ())
    assert options("", one_length).variable_output_axes == ((), ())


@pytest.mark.parametrize(
    ("groups", "device_count", "devices"),
    [
        ("", 3, (0, 1, 2)),
        ("instance_group { kind: KIND_GPU count: 2 }", 2, (0, 1, 0, 1)),
        ("instance_group { kind: KIND_GPU count: 2 gpus: [ 1 ] }", 4, (1, 1)),
        ("instance_group { kind: KIND_MODEL count: 3 }", 2, (0, 1, 0)),
        ("instance_group [ { kind: KIND_GPU gpus: 3 }, { kind: KIND_GPU count: 2 gpus: 0 } ]", 4, (3, 0, 0)),
        ("instance_group [ { gpus: 0 kind: KIND_GPU }, { gpus: 1 kind: KIND_GPU passive: true } ]", 2, (0,)),
    ],
)
def test_instances_are_spread_as_the_groups_say(groups: str, device_count: int, devices: tuple[int, ...]) -> None:
    assert options(groups, device_count=device_count).devices == devices


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "instance_group { kind: KIND_CPU }",
            "instance group m_0 of model m has kind KIND_CPU but backend 'ascend' runs on NPUs only",
        ),
        (
            "instance_group { kind: KIND_GPU gpus: 3 }",
            "instance group m_0 of model m specifies invalid or unsupported gpu id 3. NPUs that are available: 0",
        ),
        ("instance_group { passive: true }", "model 'm' has no instance that takes requests"),
        ("sequence_batching { }", "model 'm': sequence_batching is not supported by backend 'ascend'"),
        ("ensemble_scheduling { }", "model 'm': ensemble_scheduling is not supported by backend 'ascend'"),
        (
            "model_transaction_policy { decoupled: true }",
            "model 'm': the 'decoupled' transaction policy is not supported by backend 'ascend'",
        ),
        ("batch_input { }", "model 'm': batch_input or batch_output is not supported by backend 'ascend'"),
        (
            'input { name: "input_ids" optional: true }',
            "model 'm': optional input 'input_ids' is not supported by backend 'ascend'",
        ),
        (
            'input { name: "input_ids" allow_ragged_batch: true }',
            "model 'm': allow_ragged_batch of input 'input_ids' is not supported by backend 'ascend'",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(ServeError) as caught:
        options(text)
    assert caught.value.message == message


def test_a_model_without_any_device_is_refused() -> None:
    with pytest.raises(ServeError, match="model 'm' needs an NPU but none is available"):
        options("", device_count=0)


def test_settings_that_change_nothing_are_named() -> None:
    text = (
        'instance_group { host_policy: "near" rate_limiter { priority: 2 } } '
        'optimization { execution_accelerators { gpu_execution_accelerator { name: "tensorrt" } } } '
        'parameters { key: "buckets" value { string_value: "off" } } '
        'parameters { key: "bucket_mask" value { string_value: "attention_mask" } } '
        'parameters { key: "bucket_max_overtaken" value { string_value: "2" } }'
    )
    assert settings_without_effect(completed(text, bert()), bert()) == (
        "optimization.execution_accelerators",
        "bucket_max_overtaken",
    )
    assert settings_without_effect(completed("", bert()), bert()) == ()


@pytest.mark.parametrize(("backend", "has_effect"), [("ascend", True), ("onnxruntime", False), ("python", False)])
def test_the_rate_limiter_is_for_models_of_the_native_engine(backend: str, has_effect: bool) -> None:
    config = completed("instance_group { rate_limiter { priority: 2 } }", bert())
    config.backend = backend
    named = settings_without_effect(config, replace(bert(), gears=()))
    assert ("instance_group.rate_limiter" not in named) == has_effect


@pytest.mark.parametrize(("backend", "has_effect"), [("ascend", True), ("onnxruntime", False), ("python", False)])
def test_the_native_engine_alone_looks_for_answers_that_are_no_numbers(backend: str, has_effect: bool) -> None:
    config = completed('parameters { key: "check_finite" value { string_value: "on" } }', bert())
    config.backend = backend
    without_gears = replace(bert(), gears=())
    assert checks_finite(config, without_gears) == has_effect
    assert ("check_finite" not in settings_without_effect(config, without_gears)) == has_effect
    del config.parameters["check_finite"]
    assert not checks_finite(config, without_gears)
    assert settings_without_effect(config, without_gears) == ()


def test_nothing_of_buckets_has_an_effect_on_a_model_without_gears() -> None:
    without_gears = replace(bert(), gears=())
    keys = ("bucket_detect_padding", "bucket_mask", "bucket_max_overtaken", "bucket_padding.input_ids")
    config = completed("", without_gears)
    for key, text in zip(keys, ("on", "attention_mask", "2", "0"), strict=True):
        config.parameters[key].string_value = text
    assert settings_without_effect(config, without_gears) == keys
    config.parameters["bucket_mask"].string_value = "mask"
    with pytest.raises(ServeError, match="'bucket_mask' must name an input of the model"):
        settings_without_effect(config, without_gears)


@pytest.mark.parametrize(
    ("batching", "without_effect"),
    [
        (
            "default_priority_level: 1 priority_queue_policy { key: 1 value { max_queue_size: 5 } }",
            ("dynamic_batching.default_priority_level", "dynamic_batching.priority_queue_policy"),
        ),
        ("default_queue_policy { allow_timeout_override: true }", ("allow_timeout_override",)),
        ("default_queue_policy { allow_timeout_override: true default_timeout_microseconds: 9 }", ()),
        ("priority_levels: 2 default_priority_level: 2 priority_queue_policy { key: 1 value { } }", ()),
        ("preserve_ordering: true", ()),
    ],
)
def test_policies_that_nothing_can_reach_are_named(batching: str, without_effect: tuple[str, ...]) -> None:
    config = completed(f"dynamic_batching {{ {batching} }}", bert())
    assert settings_without_effect(config, bert()) == without_effect
