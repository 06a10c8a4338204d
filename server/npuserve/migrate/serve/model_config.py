"""The config.pbtxt of a migrated model: a new one, or what an old one says, for the new backend."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from google.protobuf import text_format

from npuserve._proto import POOL
from npuserve._proto.model_config_pb2 import DataType, ModelConfig, ModelInput, ModelInstanceGroup, ModelOutput
from npuserve.config.model_config import read_model_config
from npuserve.core.errors import ServeError
from npuserve.core.signature import TensorSpec
from npuserve.migrate.chain.settings import ServeSettings
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.serve.graph_interface import GraphInterface

LABELS = "labels.txt"
_RUNTIME_BEGINNINGS = ("session.", "intra_op_", "inter_op_", "enable_mem_", "ENABLE_", "DISABLE_")
_RUNTIME = frozenset(
    {"execution_mode", "memory.enable_memory_arena_shrinkage", "INFERENCE_MODE", "TORCH_COMPILE_OPTIONAL_PARAMETERS"}
    | {"INTRA_OP_THREAD_COUNT", "INTER_OP_THREAD_COUNT"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigPlan:
    """What the config depends on. max_batch: rows of the largest gear; 0: the model takes no batches.

    labels: as many as an output's last dimension. gears: parameter of an ONNX model; "": the server's choice.
    is_static: one compiled shape, which the OM tells best itself.
    """

    name: str
    settings: ServeSettings
    interface: GraphInterface
    max_batch: int
    labels: Sequence[str] = ()
    gears: str = ""
    is_static: bool = False


def new_config(plan: ConfigPlan) -> ModelConfig:
    """Return the config of a model that was never served: dynamic batching, labels, instances."""
    config = ModelConfig(name=plan.name, backend=plan.settings.backend, max_batch_size=plan.max_batch)
    if not plan.is_static:
        for spec in plan.interface.inputs:
            _fill(config.input.add(), spec, plan.max_batch > 0)
        for spec in plan.interface.outputs:
            output = config.output.add()
            _fill(output, spec, plan.max_batch > 0)
            if plan.labels and spec.shape[-1:] == (len(plan.labels),):
                output.label_filename = LABELS
    if plan.max_batch > 1:
        config.dynamic_batching.max_queue_delay_microseconds = plan.settings.max_queue_delay_us
    if plan.gears:
        config.parameters["gears"].string_value = plan.gears
    config.version_policy.latest.num_versions = 1
    config.instance_group.add(count=plan.settings.instances)
    return config


def adapted_config(old: ModelConfig, plan: ConfigPlan) -> ModelConfig:
    """Return an old config for the new backend: names, tensors, batching, labels and warm-up stay."""
    config = ModelConfig()
    config.CopyFrom(old)
    config.name, config.backend = plan.name, plan.settings.backend
    config.ClearField("platform")
    config.ClearField("default_model_filename")
    config.ClearField("optimization")
    if config.max_batch_size > 0 or not old.input:
        # Larger batches than the largest gear cannot run.
        config.max_batch_size = min(config.max_batch_size, plan.max_batch) or plan.max_batch
    preferred = [size for size in config.dynamic_batching.preferred_batch_size if size <= config.max_batch_size]
    if config.HasField("dynamic_batching"):
        config.dynamic_batching.preferred_batch_size[:] = preferred
    for key in runtime_parameters(config):
        del config.parameters[key]
    for group in config.instance_group:
        if group.kind == ModelInstanceGroup.KIND_CPU:
            # An OM runs where NPUs are.
            group.ClearField("kind")
        group.ClearField("profile")
    return config


def runtime_parameters(config: ModelConfig) -> list[str]:
    """Return the parameters that only ONNX Runtime or libtorch know."""
    return sorted(key for key in config.parameters if key in _RUNTIME or key.startswith(_RUNTIME_BEGINNINGS))


def read_config(path: Path) -> ModelConfig:
    """Read a config.pbtxt. Raises MigrationError with file, line and column."""
    try:
        return read_model_config(path)
    except ServeError as error:
        raise MigrationError(error.message) from error


def config_text(config: ModelConfig) -> str:
    """Return the text of config.pbtxt."""
    return text_format.MessageToString(config, descriptor_pool=POOL, use_short_repeated_primitives=True)


def _fill(tensor: ModelInput | ModelOutput, spec: TensorSpec, batches: bool) -> None:
    tensor.name = spec.name
    tensor.data_type = cast(DataType, DataType.Value(spec.dtype.config_name))
    tensor.dims.extend(spec.shape[1:] if batches else spec.shape)
    if not tensor.dims:
        # A config cannot say "no dimensions": one element for clients, none for the model.
        tensor.dims.append(1)
        tensor.reshape.SetInParent()
