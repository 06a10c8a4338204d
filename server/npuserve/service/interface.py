"""What requests may name of a model: its inputs and outputs as its config declares them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from npuserve._proto import model_config_pb2 as pb
from npuserve.config.conversion import converts_integers
from npuserve.core.dtype import Dtype

_DTYPES = {dtype.config_name: dtype for dtype in Dtype}


@dataclass(frozen=True, slots=True)
class DeclaredTensor:
    """An input or output of the config.

    `dims` are without the batch dimension if the model batches, -1 is variable; requests and responses use them.
    `model_dims` are what the compiled model sees: the config's `reshape`, or the same.
    `is_optional`: an input that requests may leave out.
    """

    name: str
    dtype: Dtype
    dims: tuple[int, ...]
    model_dims: tuple[int, ...]
    is_optional: bool = False


@dataclass(frozen=True, slots=True)
class ModelInterface:
    """A model's name, its greatest batch (0: it does not batch), and its tensors by name, in the config's order.

    converts_integers: whether it takes INT64 for INT32 and the other way round.
    required_inputs: the inputs that are not optional.
    takes_sequences: whether a `sequence_id` means something to it, to its Python code, or to a step of it.
    """

    name: str
    max_batch_size: int
    inputs: dict[str, DeclaredTensor]
    outputs: dict[str, DeclaredTensor]
    converts_integers: bool
    required_inputs: tuple[str, ...]
    takes_sequences: bool

    def full_dims(self, tensor: DeclaredTensor) -> tuple[int, ...]:
        """Return the dims that a request states, with the batch dimension as -1 if there is one."""
        return (-1, *tensor.dims) if self.max_batch_size > 0 else tensor.dims


def interface_of(config: pb.ModelConfig, *, takes_sequences: bool = False) -> ModelInterface:
    """Read the interface from a completed config. takes_sequences: even if the config itself does not say so."""
    inputs = _by_name(config.input)
    return ModelInterface(
        name=config.name,
        max_batch_size=config.max_batch_size,
        inputs=inputs,
        outputs=_by_name(config.output),
        converts_integers=converts_integers(config),
        required_inputs=tuple(name for name, tensor in inputs.items() if not tensor.is_optional),
        takes_sequences=takes_sequences or config.HasField("sequence_batching") or config.backend == "python",
    )


def carry_sizes(shape: Sequence[int], declared: Sequence[int], wanted: Sequence[int]) -> tuple[int, ...]:
    """Return `wanted` with its -1 filled, in order, by the sizes that `shape` has where `declared` has -1."""
    sizes = iter([size for size, dim in zip(shape, declared, strict=True) if dim == -1])
    return tuple(next(sizes) if dim == -1 else dim for dim in wanted)


def _declared(tensor: pb.ModelInput | pb.ModelOutput) -> DeclaredTensor:
    dims = tuple(tensor.dims)
    return DeclaredTensor(
        name=tensor.name,
        dtype=_DTYPES[pb.DataType.Name(tensor.data_type)],
        dims=dims,
        model_dims=tuple(tensor.reshape.shape) if tensor.HasField("reshape") else dims,
        is_optional=isinstance(tensor, pb.ModelInput) and tensor.optional,
    )


def _by_name(tensors: Iterable[pb.ModelInput | pb.ModelOutput]) -> dict[str, DeclaredTensor]:
    return {tensor.name: _declared(tensor) for tensor in tensors}
