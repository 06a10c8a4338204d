"""What the native engine needs to know of a completed config."""

from dataclasses import dataclass, field

from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.config.buckets import BucketOptions, bucket_options, bucket_settings_without_effect
from npuserve.config.contradiction import full_shape
from npuserve.config.parameters import CHECK_FINITE, is_on, number, wrong
from npuserve.config.placement import InstancePlacement, placements
from npuserve.config.scheduling import SchedulingOptions, scheduling_options
from npuserve.config.validate import unsupported, validate_instances
from npuserve.core.signature import ModelSignature

DEVICE_WEIGHT = "device_weight"
"""The parameter that says what a model's share of a device is."""
_HEAVIEST = 1000.0
_NATIVE = ("ascend", "identity")
"""The backends of the native engine: instances wait for resources. ONNX models with gears are in it too."""
_PLACED = ("ascend",)
"""The backends whose instances run where a host policy says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchingOptions:
    """How requests become executions, and where.

    device_weight: the model's share of a device, beside those of other models.
    variable_output_axes: per output of the signature, the axes of its full shape that follow a request's own length.
    """

    scheduling: SchedulingOptions
    instances: tuple[InstancePlacement, ...]
    variable_output_axes: tuple[tuple[int, ...], ...]
    buckets: BucketOptions = field(default_factory=BucketOptions)
    device_weight: float = 1.0

    @property
    def devices(self) -> tuple[int, ...]:
        """One entry per instance, the ordinal of its device; 0 for each if the backend runs on the CPU."""
        return tuple(instance.device for instance in self.instances)


def batching_options(
    config: ModelConfig, signature: ModelSignature, *, device_count: int, on_cpu: bool = False
) -> BatchingOptions:
    """Map a completed config that agrees with its model.

    on_cpu: whether the backend runs on the CPU and not on devices.
    Raises ServeError: INVALID_ARGUMENT for devices that are not there, features that no executor offers and parameters
    that are wrong.
    """
    validate_instances(config, device_count)
    _refuse_unsupported(config)
    return BatchingOptions(
        scheduling=scheduling_options(config),
        buckets=bucket_options(config, signature),
        instances=placements(config, device_count=device_count, on_cpu=on_cpu),
        device_weight=_device_weight(config),
        variable_output_axes=_variable_output_axes(config, signature),
    )


def _refuse_unsupported(config: ModelConfig) -> None:
    """Refuse what would change a model's answers if it were left out."""
    if config.HasField("sequence_batching"):
        raise unsupported(config, "sequence_batching")
    if config.HasField("ensemble_scheduling"):
        raise unsupported(config, "ensemble_scheduling")
    if config.model_transaction_policy.decoupled:
        raise unsupported(config, "the 'decoupled' transaction policy")
    if config.batch_input or config.batch_output:
        raise unsupported(config, "batch_input or batch_output")
    for tensor in config.input:
        if tensor.allow_ragged_batch:
            raise unsupported(config, f"allow_ragged_batch of input '{tensor.name}'")
        if tensor.optional:
            raise unsupported(config, f"optional input '{tensor.name}'")


def settings_without_effect(config: ModelConfig, signature: ModelSignature) -> tuple[str, ...]:
    """Name what the config sets and the server accepts but does not act on; none of it changes an answer.

    Raises ServeError: INVALID_ARGUMENT for parameters of buckets that are wrong.
    """
    batching, optimization = config.dynamic_batching, config.optimization
    policies = (batching.default_queue_policy, *batching.priority_queue_policy.values())
    has_levels = batching.priority_levels > 0
    given = {
        "dynamic_batching.default_priority_level": batching.default_priority_level > 0 and not has_levels,
        "dynamic_batching.priority_queue_policy": bool(batching.priority_queue_policy) and not has_levels,
        "allow_timeout_override": any(
            policy.allow_timeout_override and not policy.default_timeout_microseconds for policy in policies
        ),
        "instance_group.rate_limiter": not _is_native(config, signature)
        and any(group.HasField("rate_limiter") for group in config.instance_group),
        "instance_group.host_policy": config.backend not in _PLACED
        and any(group.host_policy for group in config.instance_group),
        "optimization.execution_accelerators": optimization.HasField("execution_accelerators"),
        "optimization.cuda": optimization.HasField("cuda"),
        CHECK_FINITE: is_on(config, CHECK_FINITE, default=False) and not checks_finite(config, signature),
        "cc_model_filenames": bool(config.cc_model_filenames),
        "model_repository_agents": config.HasField("model_repository_agents"),
    }
    return (
        *(setting for setting, is_given in given.items() if is_given),
        *bucket_settings_without_effect(config, signature),
    )


def checks_finite(config: ModelConfig, signature: ModelSignature) -> bool:
    """Say whether a model's answers with NaN or infinity in them are failures."""
    return is_on(config, CHECK_FINITE, default=False) and _is_native(config, signature)


def _is_native(config: ModelConfig, signature: ModelSignature) -> bool:
    return config.backend in _NATIVE or (config.backend == "onnxruntime" and bool(signature.gears))


def _device_weight(config: ModelConfig) -> float:
    if DEVICE_WEIGHT not in config.parameters:
        return 1.0
    weight = number(config, DEVICE_WEIGHT)
    if not 1 / _HEAVIEST <= weight <= _HEAVIEST:
        raise wrong(config, DEVICE_WEIGHT, f"must be in {1 / _HEAVIEST:g} to {_HEAVIEST:g}, got {weight:g}")
    return weight


def _variable_output_axes(config: ModelConfig, signature: ModelSignature) -> tuple[tuple[int, ...], ...]:
    """Return the axes that differ between gears, and those that the config alone calls variable.

    A model that does not batch runs exact shapes: there is nothing to cut.
    """
    declared = {output.name: full_shape(config, output) for output in config.output}
    axes: list[tuple[int, ...]] = []
    for spec in signature.outputs:
        shape = declared.get(spec.name, spec.shape)
        variable = (axis for axis in range(1, len(spec.shape)) if -1 in (spec.shape[axis], shape[axis]))
        axes.append(tuple(variable) if config.max_batch_size > 0 else ())
    return tuple(axes)
