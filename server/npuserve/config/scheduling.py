"""How requests become executions, whoever runs them: what a completed config says of queue and batches."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from npuserve._proto.model_config_pb2 import ModelConfig, ModelQueuePolicy
from npuserve.config.parameters import whole_number, wrong
from npuserve.core.errors import invalid
from npuserve.core.request import ParameterValue

_ADMISSION, _P99 = "admission_max_wait_us", "adaptive_delay_p99_us"
_LONGEST_US = 2**50
"""Longer than anybody waits, and in nanoseconds it still fits in 64 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePolicy:
    """What a queue does with requests that wait.

    timeout_us: how long one waits at most; 0 for no limit. allows_override: whether a request's own `timeout` may
    shorten that. delays: whether requests that time out are served after all others, and not refused.
    max_size: requests; 0 is no limit.
    """

    timeout_us: int = 0
    allows_override: bool = False
    delays: bool = False
    max_size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulingOptions:
    """Batching and queue of one model.

    max_batch_size: rows; 0 if the model does not batch. levels: of priority, counted from 1; 0 if the model has none.
    preserve_ordering: whether answers go out in the order in which their requests were taken.
    max_predicted_wait_us: a request that would wait longer is refused at once; 0: none is.
    target_p99_us: the latency that the queue delay is adjusted to hold; 0: the delay is fixed.
    variable_inputs: inputs whose shapes must be equal within a batch. optional_inputs: those that requests may leave
    out; they share a batch only with requests that leave out the same.
    """

    max_batch_size: int = 0
    dynamic_batching: bool = False
    preferred_batch_sizes: tuple[int, ...] = ()
    max_queue_delay_us: int = 0
    levels: int = 0
    default_level: int = 1
    default_policy: QueuePolicy = field(default_factory=QueuePolicy)
    policies: Mapping[int, QueuePolicy] = field(default_factory=dict)
    preserve_ordering: bool = False
    max_predicted_wait_us: int = 0
    target_p99_us: int = 0
    variable_inputs: frozenset[str] = frozenset()
    optional_inputs: tuple[str, ...] = ()

    def policy_of(self, level: int) -> QueuePolicy:
        """Return the policy of a level's queue."""
        return self.policies.get(level, self.default_policy)

    def check_parameters(self, model: str, parameters: Mapping[str, ParameterValue]) -> tuple[int, int]:
        """Return the `priority` and the `timeout` in microseconds that a request asks for; 0 where it does not.

        Raises ServeError: INVALID_ARGUMENT for a level that the model, which has levels, does not have, and for a
        timeout that is over before it begins, where requests may bring their own. Elsewhere they mean nothing.
        """
        priority, timeout_us = parameters.get("priority", 0), parameters.get("timeout")
        if not isinstance(priority, int) or self.levels == 0:
            priority = 0
        elif not 0 <= priority <= self.levels:
            raise invalid(
                f"invalid value for 'priority' of model '{model}', expected 0 to {self.levels}, got {priority}"
            )
        if not isinstance(timeout_us, int) or not self.policy_of(priority or self.default_level).allows_override:
            return priority, 0
        if timeout_us <= 0:
            raise invalid(
                f"invalid value for 'timeout' of model '{model}', expected microseconds above 0, got {timeout_us}"
            )
        return priority, min(timeout_us, _LONGEST_US)


def scheduling_options(config: ModelConfig) -> SchedulingOptions:
    """Map a completed config that was found valid. Raises ServeError: INVALID_ARGUMENT for its parameters."""
    batching = config.dynamic_batching
    return SchedulingOptions(
        max_batch_size=config.max_batch_size,
        dynamic_batching=config.HasField("dynamic_batching") and config.max_batch_size > 0,
        preferred_batch_sizes=tuple(batching.preferred_batch_size),
        max_queue_delay_us=batching.max_queue_delay_microseconds,
        levels=batching.priority_levels,
        default_level=batching.default_priority_level or 1,
        default_policy=_policy(batching.default_queue_policy),
        policies={level: _policy(policy) for level, policy in batching.priority_queue_policy.items()},
        preserve_ordering=batching.preserve_ordering,
        max_predicted_wait_us=whole_number(config, _ADMISSION),
        target_p99_us=_target_p99_us(config),
        variable_inputs=frozenset(
            tensor.name for tensor in config.input if -1 in tensor.dims and not tensor.allow_ragged_batch
        ),
        optional_inputs=tuple(tensor.name for tensor in config.input if tensor.optional),
    )


def _target_p99_us(config: ModelConfig) -> int:
    target_us = whole_number(config, _P99)
    if target_us and not (config.HasField("dynamic_batching") and config.max_batch_size > 0):
        reason = (
            "adjusts the delay of 'dynamic_batching' with a 'max_batch_size' above 0, which the model does not have"
        )
        raise wrong(config, _P99, f"{reason}; leave it out or set it to 0")
    return target_us


def _policy(policy: ModelQueuePolicy) -> QueuePolicy:
    return QueuePolicy(
        timeout_us=policy.default_timeout_microseconds,
        allows_override=policy.allow_timeout_override,
        delays=policy.timeout_action == ModelQueuePolicy.DELAY,
        max_size=policy.max_queue_size,
    )
