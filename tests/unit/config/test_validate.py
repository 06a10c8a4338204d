import pytest
from google.protobuf import text_format
from npuserve._proto import POOL
from npuserve._proto.model_config_pb2 import ModelConfig, ModelInstanceGroup
from npuserve.config.validate import MAX_INSTANCES, validate_instances, validate_model_config, validate_tensors
from npuserve.core.errors import ServeError
from npuserve.core.status import StatusCode

X = 'name: "x" data_type: TYPE_FP32'


def parse(text: str) -> ModelConfig:
    config = ModelConfig()
    text_format.Parse('name: "m" ' + text, config, descriptor_pool=POOL)
    return config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_batch_size: -1", "'max_batch_size' must be non-negative value for m"),
        (
            "max_batch_size: 4 dynamic_batching { preferred_batch_size: 0 }",
            "dynamic batching preferred size must be positive for m",
        ),
        (
            "max_batch_size: 4 dynamic_batching { preferred_batch_size: [ 2, 8 ] }",
            "dynamic batching preferred size must be <= max batch size for m",
        ),
        ("dynamic_batching { priority_levels: 3 }", "default priority level must be in range [1, 3] for m"),
        (
            "dynamic_batching { priority_levels: 3 default_priority_level: 4 }",
            "default priority level must be in range [1, 3] for m",
        ),
        (
            "dynamic_batching { priority_levels: 3 default_priority_level: 1 "
            "priority_queue_policy { key: 4 value { } } }",
            "priority queue policy must have priority level in range [1, 3] for m",
        ),
        (
            "dynamic_batching { priority_levels: 2 default_priority_level: 1 preserve_ordering: true }",
            "Only one priority level is allowed when 'preserve_ordering' is true for m",
        ),
        (
            "dynamic_batching { preserve_ordering: true default_queue_policy { timeout_action: DELAY } }",
            "Queue policy can not have DELAY as timeout action when 'preserve_ordering' is true for m",
        ),
        (
            "dynamic_batching { preserve_ordering: true priority_levels: 1 default_priority_level: 1 "
            "priority_queue_policy { key: 1 value { timeout_action: DELAY } } }",
            "Queue policy can not have DELAY as timeout action when 'preserve_ordering' is true for m",
        ),
        (
            "sequence_batching { } response_cache { enable: true }",
            "Response Cache does not currently support model m with sequence batching scheduler. "
            "Please disable the response cache.",
        ),
        (
            "model_transaction_policy { decoupled: true } response_cache { enable: true }",
            "Response Cache does not currently support model m with 'decoupled' transaction policy. "
            "Please disable the response cache.",
        ),
    ],
)
def test_scheduling_rules_are_refused_in_tritons_words(text: str, message: str) -> None:
    with pytest.raises(ServeError) as caught:
        validate_model_config(parse(text))
    assert (caught.value.status, caught.value.message) == (StatusCode.INVALID_ARGUMENT, message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "dynamic_batching { priority_levels: 1025 default_priority_level: 1 }",
            "priority levels must be at most 1024 for m, got 1025",
        ),
        (
            "dynamic_batching { max_queue_delay_microseconds: 18446744073709551615 }",
            "dynamic batching max_queue_delay_microseconds must be at most 1099511627776 for m, "
            "got 18446744073709551615",
        ),
        (
            "dynamic_batching { priority_levels: 1 default_priority_level: 1 "
            "priority_queue_policy { key: 1 value { default_timeout_microseconds: 1099511627777 } } }",
            "dynamic batching default_timeout_microseconds must be at most 1099511627776 for m, got 1099511627777",
        ),
    ],
)
def test_scheduling_has_bounds(text: str, message: str) -> None:
    with pytest.raises(ServeError) as caught:
        validate_model_config(parse(text))
    assert (caught.value.status, caught.value.message) == (StatusCode.INVALID_ARGUMENT, message)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "dynamic_batching { }",
        "max_batch_size: 8 dynamic_batching { preferred_batch_size: [ 2, 8 ] preserve_ordering: true }",
        "dynamic_batching { priority_levels: 3 default_priority_level: 2 priority_queue_policy { key: 3 value { } } }",
        "dynamic_batching { priority_levels: 1 default_priority_level: 1 preserve_ordering: true }",
        "response_cache { enable: true }",
    ],
)
def test_what_triton_accepts_is_accepted(text: str) -> None:
    validate_model_config(parse(text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("input { }", "model input must specify 'name' for m"),
        ('input { name: "x" }', "model input 'x' must specify 'data_type' for m"),
        ('output { name: "x" data_type: 77 }', "model output 'x' has unknown 'data_type' 77 for m"),
        (f"output {{ {X} }}", "model output 'x' must specify 'dims' for m"),
        (
            f"input {{ {X} dims: 0 }}",
            "model input 'x' dimension must be integer >= 1, or -1 to indicate a variable-size dimension for m",
        ),
        (
            f"input {{ {X} dims: -2 }}",
            "model input 'x' dimension must be integer >= 1, or -1 to indicate a variable-size dimension for m",
        ),
        (
            f"input {{ {X} dims: [ 2, 3 ] reshape {{ shape: 5 }} }}",
            "model input 'x' has different size for dims and reshape for m",
        ),
        (
            f"input {{ {X} dims: [ 2, -1, 3 ] reshape {{ shape: [ 3, -1, 2 ] }} }}",
            "model input 'x' has different size for dims and reshape for m",
        ),
        (
            f"output {{ {X} dims: 1 reshape {{ }} }}",
            "model output 'x' cannot have empty reshape for non-batching model as scalar tensors are not "
            "supported for m",
        ),
        (f"input {{ {X} dims: [ 2, 3 ] format: FORMAT_NCHW }}", "model input NHWC/NCHW require 3 dims for m"),
        (
            f"input {{ {X} dims: 2 is_shape_tensor: true }}",
            "shape tensors are only supported for TensorRT platform for m",
        ),
        (f"input {{ {X} dims: 2 }} input {{ {X} dims: 2 }}", "model input 'x' is specified more than once for m"),
    ],
)
def test_tensor_rules_are_refused_in_tritons_words(text: str, message: str) -> None:
    with pytest.raises(ServeError) as caught:
        validate_tensors(parse(text))
    assert (caught.value.status, caught.value.message) == (StatusCode.INVALID_ARGUMENT, message)


@pytest.mark.parametrize(
    "text",
    [
        f"input {{ {X} dims: [ 2, -1, 6 ] reshape {{ shape: [ 1, 2, -1, 3, 2 ] }} }}",
        f"max_batch_size: 1 output {{ {X} dims: 1 reshape {{ }} }}",
        f"input {{ {X} dims: 2 }} output {{ {X} dims: 2 }}",
    ],
)
def test_sound_tensors_are_accepted(text: str) -> None:
    validate_tensors(parse(text))


@pytest.mark.parametrize(
    ("group", "device_count", "message"),
    [
        ("kind: KIND_GPU", 0, "instance group g of model m has kind KIND_GPU but no GPUs are available"),
        (
            "kind: KIND_GPU gpus: [ 0, 9 ]",
            2,
            "instance group g of model m specifies invalid or unsupported gpu id 9. NPUs that are available: 0, 1",
        ),
        (
            "kind: KIND_GPU gpus: -1",
            1,
            "instance group g of model m specifies invalid or unsupported gpu id -1. NPUs that are available: 0",
        ),
        ("kind: KIND_CPU gpus: 0", 1, "instance group g of model m has kind KIND_CPU but specifies one or more GPUs"),
        (
            "kind: KIND_MODEL gpus: 0",
            1,
            "instance group g of model m has kind KIND_MODEL but specifies one or more GPUs",
        ),
        (
            'kind: KIND_GPU profile: "p"',
            1,
            "instance group g of model m and platform ascend_omspecifies profile field which is only supported for "
            "TensorRT models",
        ),
    ],
)
def test_instances_where_no_device_is_are_refused(group: str, device_count: int, message: str) -> None:
    config = parse(f'platform: "ascend_om" instance_group {{ name: "g" {group} }}')
    with pytest.raises(ServeError) as caught:
        validate_instances(config, device_count)
    assert caught.value.message == message


def test_gpus_are_npu_ordinals() -> None:
    validate_instances(parse("instance_group { kind: KIND_GPU gpus: [ 0, 7 ] }"), 8)


def test_more_instances_than_a_machine_has_threads_for_are_refused() -> None:
    config = ModelConfig(name="m", backend="identity")
    config.instance_group.add(name="m_0", kind=ModelInstanceGroup.KIND_CPU, count=MAX_INSTANCES)
    validate_instances(config, 0)
    config.instance_group.add(name="m_1", kind=ModelInstanceGroup.KIND_CPU, count=100_000)
    with pytest.raises(ServeError, match="model m has 101024 instances, more than 1024 are not supported"):
        validate_instances(config, 0)
