import pytest
from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.config.scheduling import QueuePolicy, SchedulingOptions, scheduling_options
from npuserve.core.errors import ServeError


def test_options_are_what_the_config_says() -> None:
    config = ModelConfig(name="M", max_batch_size=8)
    config.input.add(name="A", dims=[-1])
    config.input.add(name="B", dims=[3], optional=True)
    config.input.add(name="C", dims=[-1], allow_ragged_batch=True)
    batching = config.dynamic_batching
    batching.preferred_batch_size[:] = [4, 8]
    batching.max_queue_delay_microseconds = 7
    batching.preserve_ordering = True
    batching.priority_levels = 2
    batching.default_priority_level = 2
    batching.default_queue_policy.max_queue_size = 5
    batching.priority_queue_policy[1].default_timeout_microseconds = 9
    config.parameters["admission_max_wait_us"].string_value = "30000"
    config.parameters["adaptive_delay_p99_us"].string_value = "20000"
    assert scheduling_options(config) == SchedulingOptions(
        max_batch_size=8,
        dynamic_batching=True,
        preferred_batch_sizes=(4, 8),
        max_queue_delay_us=7,
        levels=2,
        default_level=2,
        default_policy=QueuePolicy(max_size=5),
        policies={1: QueuePolicy(timeout_us=9)},
        preserve_ordering=True,
        max_predicted_wait_us=30_000,
        target_p99_us=20_000,
        variable_inputs=frozenset({"A"}),
        optional_inputs=("B",),
    )


def test_a_timeout_of_any_size_is_one_that_the_core_counts() -> None:
    options = SchedulingOptions(default_policy=QueuePolicy(timeout_us=9, allows_override=True))
    assert options.check_parameters("M", {"timeout": 2**64 - 1}) == (0, 2**50)


@pytest.mark.parametrize("key", ["admission_max_wait_us", "adaptive_delay_p99_us"])
@pytest.mark.parametrize("text", ["-1", "5ms", "", "1.5", "1e6", "99999999999999"])
def test_a_bound_that_is_no_count_of_microseconds_is_refused(key: str, text: str) -> None:
    config = ModelConfig(name="M", max_batch_size=8)
    config.dynamic_batching.SetInParent()
    config.parameters[key].string_value = text
    with pytest.raises(ServeError) as caught:
        scheduling_options(config)
    assert caught.value.message == (
        f"model 'M': parameter '{key}' must be a whole number in 0 to 1099511627776, got '{text}'"
    )


@pytest.mark.parametrize(("max_batch_size", "batching"), [(8, False), (0, True)])
def test_a_delay_cannot_adapt_where_no_request_waits_for_others(max_batch_size: int, batching: bool) -> None:
    config = ModelConfig(name="M", max_batch_size=max_batch_size)
    if batching:
        config.dynamic_batching.SetInParent()
    config.parameters["adaptive_delay_p99_us"].string_value = "20000"
    with pytest.raises(ServeError, match="'adaptive_delay_p99_us' adjusts the delay of 'dynamic_batching' with a"):
        scheduling_options(config)
    config.parameters["adaptive_delay_p99_us"].string_value = "0"
    assert scheduling_options(config).target_p99_us == 0
