"""The rules that hold for a config by itself. Texts are Triton's; the compiled model's part is in `contradiction`."""

import math
from collections.abc import Sequence
from itertools import pairwise

from npuserve._proto.model_config_pb2 import (
    DataType,
    ModelConfig,
    ModelDynamicBatching,
    ModelInput,
    ModelInstanceGroup,
    ModelOutput,
    ModelQueuePolicy,
)
from npuserve.config.ensemble import validate_ensemble
from npuserve.core.errors import ServeError, invalid


def validate_model_config(config: ModelConfig) -> None:
    """Check batching and scheduling, before anything is loaded. Raises ServeError: INVALID_ARGUMENT."""
    if config.max_batch_size < 0:
        raise invalid(f"'max_batch_size' must be non-negative value for {config.name}")
    validate_ensemble(config)
    scheduling = config.WhichOneof("scheduling_choice")
    if scheduling == "dynamic_batching":
        _validate_preferred_sizes(config)
        _validate_priorities(config.name, config.dynamic_batching)
        _validate_ordering(config.name, config.dynamic_batching)
        _validate_durations(config.name, config.dynamic_batching)
    if config.response_cache.enable and (
        scheduling == "sequence_batching" or config.model_transaction_policy.decoupled
    ):
        reason = (
            "sequence batching scheduler" if scheduling == "sequence_batching" else "'decoupled' transaction policy"
        )
        raise invalid(
            f"Response Cache does not currently support model {config.name} with {reason}. "
            "Please disable the response cache."
        )


def _validate_preferred_sizes(config: ModelConfig) -> None:
    for size in config.dynamic_batching.preferred_batch_size:
        if size <= 0:
            raise invalid(f"dynamic batching preferred size must be positive for {config.name}")
        if size > config.max_batch_size:
            raise invalid(f"dynamic batching preferred size must be <= max batch size for {config.name}")


MAX_PRIORITY_LEVELS = 1024
"""Each has a queue of its own."""

_LONGEST_US = 2**40
"""Twelve days: in nanoseconds it still fits in 64 bits."""


def _validate_priorities(name: str, batching: ModelDynamicBatching) -> None:
    levels = batching.priority_levels
    if levels == 0:
        return
    if levels > MAX_PRIORITY_LEVELS:
        raise invalid(f"priority levels must be at most {MAX_PRIORITY_LEVELS} for {name}, got {levels}")
    if not 1 <= batching.default_priority_level <= levels:
        raise invalid(f"default priority level must be in range [1, {levels}] for {name}")
    if any(not 1 <= level <= levels for level in batching.priority_queue_policy):
        raise invalid(f"priority queue policy must have priority level in range [1, {levels}] for {name}")


def _validate_ordering(name: str, batching: ModelDynamicBatching) -> None:
    if not batching.preserve_ordering:
        return
    if batching.priority_levels > 1:
        raise invalid(f"Only one priority level is allowed when 'preserve_ordering' is true for {name}")
    policies = (batching.default_queue_policy, *batching.priority_queue_policy.values())
    if any(policy.timeout_action == ModelQueuePolicy.DELAY for policy in policies):
        raise invalid(f"Queue policy can not have DELAY as timeout action when 'preserve_ordering' is true for {name}")


def _validate_durations(name: str, batching: ModelDynamicBatching) -> None:
    policies = (batching.default_queue_policy, *batching.priority_queue_policy.values())
    given = {
        "max_queue_delay_microseconds": batching.max_queue_delay_microseconds,
        "default_timeout_microseconds": max(policy.default_timeout_microseconds for policy in policies),
    }
    for field, duration_us in given.items():
        if duration_us > _LONGEST_US:
            raise invalid(f"dynamic batching {field} must be at most {_LONGEST_US} for {name}, got {duration_us}")


def validate_tensors(config: ModelConfig) -> None:
    """Check the inputs and outputs of a completed config. Raises ServeError: INVALID_ARGUMENT."""
    for tensor in config.input:
        _validate_tensor(config, "input", tensor)
        if tensor.format != ModelInput.FORMAT_NONE and len(tensor.dims) != 3:
            raise invalid(f"model input NHWC/NCHW require 3 dims for {config.name}")
    for output in config.output:
        _validate_tensor(config, "output", output)
    for kind, names in (("input", [i.name for i in config.input]), ("output", [o.name for o in config.output])):
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise invalid(f"model {kind} '{twice}' is specified more than once for {config.name}")


def _validate_tensor(config: ModelConfig, kind: str, tensor: ModelInput | ModelOutput) -> None:
    if not tensor.name:
        raise invalid(f"model {kind} must specify 'name' for {config.name}")
    if tensor.data_type == DataType.TYPE_INVALID:
        raise invalid(f"model {kind} '{tensor.name}' must specify 'data_type' for {config.name}")
    if tensor.data_type not in DataType.values():
        raise invalid(f"model {kind} '{tensor.name}' has unknown 'data_type' {tensor.data_type} for {config.name}")
    if not tensor.dims:
        raise invalid(f"model {kind} '{tensor.name}' must specify 'dims' for {config.name}")
    if tensor.is_shape_tensor:
        raise invalid(f"shape tensors are only supported for TensorRT platform for {config.name}")
    for dims in (tensor.dims, tensor.reshape.shape):
        if any(dim < 1 and dim != -1 for dim in dims):
            raise invalid(
                f"model {kind} '{tensor.name}' dimension must be integer >= 1, or -1 to indicate a variable-size "
                f"dimension for {config.name}"
            )
    if tensor.HasField("reshape"):
        _validate_reshape(config, kind, tensor)


def _validate_reshape(config: ModelConfig, kind: str, tensor: ModelInput | ModelOutput) -> None:
    if not tensor.reshape.shape and config.max_batch_size == 0:
        raise invalid(
            f"model {kind} '{tensor.name}' cannot have empty reshape for non-batching model as scalar tensors are not "
            f"supported for {config.name}"
        )
    if _segments(tensor.dims) != _segments(tensor.reshape.shape):
        raise invalid(f"model {kind} '{tensor.name}' has different size for dims and reshape for {config.name}")


def _segments(dims: Sequence[int]) -> list[int]:
    """Return the number of elements between variable dimensions: what a reshape must keep."""
    cuts = [-1, *(axis for axis, dim in enumerate(dims) if dim == -1), len(dims)]
    return [math.prod(dims[left + 1 : right]) for left, right in pairwise(cuts)]


MAX_INSTANCES = 1024
"""Of one model. Each has a thread or a process: many more would take them away from every other model."""


def validate_instances(config: ModelConfig, device_count: int) -> None:
    """Check where a completed config's instances run; `gpus` are NPU ordinals. Raises ServeError: INVALID_ARGUMENT."""
    instances = sum(group.count * max(len(group.gpus), 1) for group in config.instance_group)
    if instances > MAX_INSTANCES:
        raise invalid(f"model {config.name} has {instances} instances, more than {MAX_INSTANCES} are not supported")
    for group in config.instance_group:
        subject = f"instance group {group.name} of model {config.name}"
        if group.profile:
            raise invalid(
                f"{subject} and platform {config.platform}specifies profile field which is only supported for "
                "TensorRT models"
            )
        if group.kind == ModelInstanceGroup.KIND_GPU:
            _validate_ordinals(subject, group, device_count)
        elif group.gpus:
            kind = ModelInstanceGroup.Kind.Name(group.kind)
            raise invalid(f"{subject} has kind {kind} but specifies one or more GPUs")


def _validate_ordinals(subject: str, group: ModelInstanceGroup, device_count: int) -> None:
    if device_count == 0:
        raise invalid(f"{subject} has kind KIND_GPU but no GPUs are available")
    for ordinal in group.gpus:
        if not 0 <= ordinal < device_count:
            available = ", ".join(str(device) for device in range(device_count))
            raise invalid(
                f"{subject} specifies invalid or unsupported gpu id {ordinal}. NPUs that are available: {available}"
            )


def unsupported(config: ModelConfig, feature: str) -> ServeError:
    """Return the error for a feature that the model's backend does not offer."""
    return invalid(f"model '{config.name}': {feature} is not supported by backend '{config.backend}'")
