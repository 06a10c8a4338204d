"""Made-up requests for a model of which nothing but its config is known."""

from npuserve._proto.model_config_pb2 import DataType, ModelConfig
from npuserve.core.dtype import Dtype
from npuserve.migrate.chain.tensors import Tensors
from npuserve.migrate.load.interface import Input, ModelInterface
from npuserve.migrate.load.samples import made_up_samples

_DTYPES = {DataType.Value(dtype.config_name): dtype for dtype in Dtype}
_TEXT_INPUTS = frozenset({"input_ids", "attention_mask", "input_mask", "token_type_ids", "segment_ids", "position_ids"})


def takes_tokens(config: ModelConfig) -> bool:
    """Whether it is a text encoder by its inputs' names, of any length: then the export makes up better requests."""
    names = {tensor.name for tensor in config.input}
    return "input_ids" in names and names <= _TEXT_INPUTS and all(-1 in tensor.dims for tensor in config.input)


def fixed_length(config: ModelConfig) -> int | None:
    """Return the one length of a text encoder's requests; None if it varies, or the model is another."""
    names = {tensor.name for tensor in config.input}
    sizes = {tensor.dims[-1] for tensor in config.input if len(tensor.dims) == (1 if config.max_batch_size else 2)}
    if "input_ids" in names and names <= _TEXT_INPUTS and len(sizes) == 1 and min(sizes) > 0:
        return int(min(sizes))
    return None


def made_up(config: ModelConfig, lengths: tuple[int, ...]) -> list[Tensors]:
    """Return a request of one row a length; fixed sizes stay. REQUIRES: the config has inputs."""
    batches = config.max_batch_size > 0
    inputs = []
    for tensor in config.input:
        dims = tuple(tensor.reshape.shape) if tensor.HasField("reshape") else tuple(tensor.dims)
        inputs.append(Input(tensor.name, _DTYPES[tensor.data_type], (-1, *dims) if batches else dims))
    model = ModelInterface(config.name, tuple(inputs), batches, False)
    return made_up_samples(model, lengths, {}, seed=0)
