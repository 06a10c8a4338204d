"""Completes a model's config: from the compiled model where it says nothing, with Triton's defaults elsewhere."""

from typing import cast

from npuserve._proto.model_config_pb2 import DataType, ModelConfig, ModelInput, ModelInstanceGroup, ModelOutput
from npuserve.config.gears import can_batch, largest_batch
from npuserve.core.errors import invalid
from npuserve.core.signature import ModelSignature, TensorSpec

SEQUENCE_IDLE_US = 1_000_000
DEFAULT_MAX_BATCH_SIZE = 4
"""Of a model that batches and does not say how far (`--backend-config=onnxruntime,default-max-batch-size=N`)."""


def complete_model_config(
    config: ModelConfig,
    signature: ModelSignature,
    *,
    device_count: int,
    auto_complete: bool = True,
    default_max_batch_size: int = DEFAULT_MAX_BATCH_SIZE,
) -> ModelConfig:
    """Return the effective config; `config` stays as it is.

    auto_complete: whether inputs, outputs and batching may be taken from the compiled model.
    default_max_batch_size: of a model without gears that can batch.
    Raises ServeError: INVALID_ARGUMENT if the config asks for batching that the model cannot do.
    """
    complete = ModelConfig()
    complete.CopyFrom(config)
    if auto_complete and not (config.input and config.output):
        _complete_from_signature(complete, signature, default_max_batch_size)
    _complete_scheduling(complete)
    if not complete.version_policy.WhichOneof("policy_choice"):
        complete.version_policy.latest.num_versions = 1
    if not complete.HasField("ensemble_scheduling"):
        _complete_instances(complete, device_count)
        _complete_optimization(complete)
    return complete


def _complete_from_signature(config: ModelConfig, signature: ModelSignature, default_max_batch_size: int) -> None:
    """Fill inputs, outputs, max_batch_size and the scheduler.

    Where Triton assumes a default batch for a model that batches, the gears, if there are any, say what the largest is.
    """
    if can_batch(signature):
        config.max_batch_size = config.max_batch_size or largest_batch(signature) or default_max_batch_size
        if config.max_batch_size > 1 and not config.WhichOneof("scheduling_choice"):
            config.dynamic_batching.SetInParent()
    elif config.max_batch_size > 0:
        raise invalid(
            f"autofill failed for model '{config.name}': model does not support batching while non-zero "
            "max_batch_size is specified"
        )
    if not config.input:
        for spec in signature.inputs:
            _fill_tensor(config.input.add(), spec, config.max_batch_size > 0)
    if not config.output:
        for spec in signature.outputs:
            _fill_tensor(config.output.add(), spec, config.max_batch_size > 0)


def _fill_tensor(tensor: ModelInput | ModelOutput, spec: TensorSpec, batches: bool) -> None:
    tensor.name = spec.name
    tensor.data_type = cast(DataType, DataType.Value(spec.dtype.config_name))
    tensor.dims.extend(spec.shape[1:] if batches else spec.shape)
    if not tensor.dims:
        # A config cannot say "no dimensions": one element for the clients, none for the model.
        tensor.dims.append(1)
        tensor.reshape.SetInParent()


def _complete_scheduling(config: ModelConfig) -> None:
    scheduling = config.WhichOneof("scheduling_choice")
    if scheduling == "dynamic_batching":
        preferred = config.dynamic_batching.preferred_batch_size
        if not preferred and config.max_batch_size > 0:
            preferred.append(config.max_batch_size)
    elif scheduling == "sequence_batching":
        sequence = config.sequence_batching
        sequence.max_sequence_idle_microseconds = sequence.max_sequence_idle_microseconds or SEQUENCE_IDLE_US
        if sequence.HasField("oldest") and not sequence.oldest.preferred_batch_size and config.max_batch_size > 0:
            sequence.oldest.preferred_batch_size.append(config.max_batch_size)


def _complete_optimization(config: ModelConfig) -> None:
    for name in ("input_pinned_memory", "output_pinned_memory"):
        if not config.optimization.HasField(name):
            getattr(config.optimization, name).enable = True


def _complete_instances(config: ModelConfig, device_count: int) -> None:
    """Name every group and say how many instances run where; without a group there is one, named after the model."""
    if not config.instance_group:
        config.instance_group.add(name=config.name)
    for index, group in enumerate(config.instance_group):
        group.name = group.name or f"{config.name}_{index}"
        if group.kind == ModelInstanceGroup.KIND_AUTO:
            group.kind = ModelInstanceGroup.KIND_GPU if device_count else ModelInstanceGroup.KIND_CPU
        if group.count < 1:
            # Triton's default for ONNX Runtime on the CPU.
            is_twice = config.backend == "onnxruntime" and group.kind == ModelInstanceGroup.KIND_CPU
            group.count = 2 if is_twice else 1
        if group.kind == ModelInstanceGroup.KIND_GPU and not group.gpus:
            group.gpus.extend(range(device_count))
