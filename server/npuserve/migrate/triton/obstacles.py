"""What in a config stands in the way, and what will do nothing where the model goes."""

from collections.abc import Iterator

from npuserve._proto.model_config_pb2 import DataType, ModelConfig, ModelInstanceGroup
from npuserve.migrate.serve.model_config import runtime_parameters


def refusals(config: ModelConfig) -> Iterator[str]:
    """Yield what this server refuses whatever runs the model, as leaving it out would change answers."""
    if config.batch_input or config.batch_output:
        yield "batch_input and batch_output are not served"
    if config.backend != "python" and any(tensor.allow_ragged_batch for tensor in config.input):
        yield "allow_ragged_batch is served for python models alone"
    if config.HasField("sequence_batching") and config.sequence_batching.iterative_sequence:
        yield "iterative_sequence is not served"
    if config.model_transaction_policy.decoupled and config.backend not in ("python", ""):
        yield "decoupled is served for python models and ensembles alone"


def not_compilable(config: ModelConfig) -> Iterator[str]:
    """Yield what an OM model cannot do, but ONNX Runtime here can."""
    if config.HasField("sequence_batching"):
        yield "sequence_batching"
    for tensor in config.input:
        if tensor.optional:
            yield f"the optional input '{tensor.name}'"
    types = [(each.name, each.data_type) for each in config.input]
    types += [(each.name, each.data_type) for each in config.output]
    for name, data_type in types:
        if data_type == DataType.TYPE_STRING:
            yield f"the text tensor '{name}'"


def without_effect(config: ModelConfig, *, is_converted: bool) -> Iterator[str]:
    """Yield what the config sets and the new service does not act on; none of it changes an answer."""
    accelerators = config.optimization.execution_accelerators
    names = [each.name for each in (*accelerators.gpu_execution_accelerator, *accelerators.cpu_execution_accelerator)]
    if names:
        yield f"execution accelerators ({', '.join(names)}) have no meaning on an NPU"
    if config.optimization.HasField("cuda"):
        yield "optimization.cuda has no meaning on an NPU"
    if config.model_repository_agents.agents:
        yield "model_repository_agents are not run"
    if config.cc_model_filenames:
        yield "cc_model_filenames chooses among GPUs: the default file is taken"
    kinds = {group.kind for group in config.instance_group}
    if ModelInstanceGroup.KIND_GPU in kinds:
        ordinals = sorted({gpu for group in config.instance_group for gpu in group.gpus})
        yield "KIND_GPU now means NPUs" + (f": {', '.join(map(str, ordinals))}" if ordinals else "")
    if is_converted:
        if ModelInstanceGroup.KIND_CPU in kinds:
            yield "KIND_CPU is left out: an OM runs on NPUs"
        if parameters := runtime_parameters(config):
            yield f"parameters of the old runtime are left out: {', '.join(parameters)}"
        if config.optimization.HasField("graph"):
            yield "optimization.graph is left out: the compiler optimizes"


def python_notes(config: ModelConfig) -> Iterator[str]:
    """Yield what a python model may stumble on."""
    given = config.parameters
    environment = given["EXECUTION_ENV_PATH"].string_value if "EXECUTION_ENV_PATH" in given else ""
    if environment.endswith((".tar.gz", ".tgz", ".zip")):
        yield f"the packed environment {environment} must be unpacked: EXECUTION_ENV_PATH names its folder"
    if "FORCE_CPU_ONLY_INPUT_TENSORS" in config.parameters:
        yield "tensors are always in host memory"
