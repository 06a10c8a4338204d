"""How requests become executions for models whose batches Python runs: what a completed config says of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from npuserve._proto.model_config_pb2 import ModelConfig, ModelQueuePolicy


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

    def timeout_of(self, wanted_us: object) -> int:
        """Return the timeout of a request that asks for `wanted_us`, in microseconds; 0 for none."""
        if self.allows_override and isinstance(wanted_us, int) and 0 < wanted_us < self.timeout_us:
            return wanted_us
        return self.timeout_us


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulingOptions:
    """Batching, queue and instances of one model.

    max_batch_size: rows; 0 if the model does not batch. levels: priority levels; a model without them has one.
    variable_inputs: inputs whose shapes must be equal within a batch. optional_inputs: those that requests may leave
    out; they share a batch only with requests that leave out the same.
    """

    max_batch_size: int = 0
    dynamic_batching: bool = False
    preferred_batch_sizes: tuple[int, ...] = ()
    max_queue_delay_us: int = 0
    levels: int = 1
    default_level: int = 1
    default_policy: QueuePolicy = field(default_factory=QueuePolicy)
    policies: Mapping[int, QueuePolicy] = field(default_factory=dict)
    variable_inputs: frozenset[str] = frozenset()
    optional_inputs: tuple[str, ...] = ()

    def level_of(self, priority: object) -> int:
        """Return the level, from 1, of a request with this `priority`."""
        if isinstance(priority, int) and 1 <= priority <= self.levels:
            return priority
        return self.default_level

    def policy_of(self, level: int) -> QueuePolicy:
        """Return the policy of a level's queue."""
        return self.policies.get(level, self.default_policy)


def scheduling_options(config: ModelConfig) -> SchedulingOptions:
    """Map a completed config that was found valid."""
    batching = config.dynamic_batching
    return SchedulingOptions(
        max_batch_size=config.max_batch_size,
        dynamic_batching=config.HasField("dynamic_batching") and config.max_batch_size > 0,
        preferred_batch_sizes=tuple(batching.preferred_batch_size),
        max_queue_delay_us=batching.max_queue_delay_microseconds,
        levels=max(1, batching.priority_levels),
        default_level=batching.default_priority_level or 1,
        default_policy=_policy(batching.default_queue_policy),
        policies={level: _policy(policy) for level, policy in batching.priority_queue_policy.items()},
        variable_inputs=frozenset(
            tensor.name for tensor in config.input if -1 in tensor.dims and not tensor.allow_ragged_batch
        ),
        optional_inputs=tuple(tensor.name for tensor in config.input if tensor.optional),
    )


def _policy(policy: ModelQueuePolicy) -> QueuePolicy:
    return QueuePolicy(
        timeout_us=policy.default_timeout_microseconds,
        allows_override=policy.allow_timeout_override,
        delays=policy.timeout_action == ModelQueuePolicy.DELAY,
        max_size=policy.max_queue_size,
    )
