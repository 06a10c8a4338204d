"""What `sequence_batching` says: control tensors, states, and the single instances that run its sequences."""

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from npuserve._proto.model_config_pb2 import DataType, ModelConfig, ModelSequenceBatching
from npuserve.core.dtype import Dtype
from npuserve.core.errors import invalid
from npuserve.core.signature import ModelSignature, TensorSpec
from npuserve.core.tensor import Tensor

Kind = ModelSequenceBatching.Control.Kind
_DTYPES = {dtype.config_name: dtype for dtype in Dtype}
_VALUES = (("int32_false_true", Dtype.INT32), ("fp32_false_true", Dtype.FP32), ("bool_false_true", Dtype.BOOL))
_CORRELATION_DTYPES = (Dtype.UINT64, Dtype.INT64, Dtype.UINT32, Dtype.INT32, Dtype.BYTES)


@dataclass(frozen=True, slots=True)
class ControlSpec:
    """An input that the server fills: `false` and `true` are the values for a START, END or READY."""

    name: str
    kind: int
    dtype: Dtype
    false: float = 0
    true: float = 1


@dataclass(frozen=True, slots=True)
class StateSpec:
    """A tensor that the server keeps for a sequence: an output of one request is the input of the next.

    initial_file: what the first request of a sequence gets, in the model's folder `initial_state`; "": zeros.
    dims: of that, without the batch dimension.
    """

    input_name: str
    output_name: str
    dtype: Dtype
    dims: tuple[int, ...]
    initial_file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceOptions:
    """How sequences are run.

    slots_per_instance: sequences that an instance holds at once; others wait for one to end.
    idle_us: how long a sequence may have no request before it ends by itself.
    """

    slots_per_instance: int
    idle_us: int
    controls: tuple[ControlSpec, ...]
    states: tuple[StateSpec, ...]


def sequence_options(config: ModelConfig) -> SequenceOptions:
    """Read the options of a completed config. Raises ServeError: INVALID_ARGUMENT."""
    batching = config.sequence_batching
    if batching.iterative_sequence:
        raise invalid(f"model '{config.name}': iterative_sequence is not supported")
    if batching.HasField("oldest"):
        slots = batching.oldest.max_candidate_sequences
        if slots < 1:
            raise invalid(f"sequence batching maximum candidate sequences must be greater than 0 for {config.name}")
    else:
        _check_utilization(config)
        slots = max(config.max_batch_size, 1)
    controls = tuple(_controls(config))
    _check_unique(config, controls)
    return SequenceOptions(
        slots_per_instance=slots,
        idle_us=batching.max_sequence_idle_microseconds,
        controls=controls,
        states=tuple(_state(config, state) for state in batching.state),
    )


def visible_signature(config: ModelConfig, signature: ModelSignature) -> ModelSignature:
    """Return the signature without the tensors that the server fills and keeps: what clients see of the model."""
    if not config.HasField("sequence_batching"):
        return signature
    batching = config.sequence_batching
    inputs = {control.name for control in batching.control_input} | {state.input_name for state in batching.state}
    outputs = {state.output_name for state in batching.state} - {output.name for output in config.output}
    shown_inputs = [index for index, spec in enumerate(signature.inputs) if spec.name not in inputs]
    shown_outputs = [index for index, spec in enumerate(signature.outputs) if spec.name not in outputs]
    return ModelSignature(
        inputs=_chosen(signature.inputs, shown_inputs),
        outputs=_chosen(signature.outputs, shown_outputs),
        gears=tuple(
            replace(
                gear,
                input_shapes=tuple(gear.input_shapes[index] for index in shown_inputs),
                output_shapes=tuple(gear.output_shapes[index] for index in shown_outputs),
            )
            for gear in signature.gears
        ),
    )


def instance_configs(config: ModelConfig) -> list[ModelConfig]:
    """Return a config for each instance, alone: requests of one sequence all go to one instance.

    Its requests are batched across sequences, as the strategy says. To it the states are inputs and outputs like all.
    """
    batching = config.sequence_batching
    single = ModelConfig()
    single.CopyFrom(config)
    single.ClearField("sequence_batching")
    _add_states(single, batching)
    if config.max_batch_size > 0:
        strategy = batching.oldest if batching.HasField("oldest") else batching.direct
        single.dynamic_batching.max_queue_delay_microseconds = strategy.max_queue_delay_microseconds
        preferred = batching.oldest.preferred_batch_size
        single.dynamic_batching.preferred_batch_size.extend(preferred or [config.max_batch_size])
    configs = []
    for group in config.instance_group:
        places: list[list[int]] = [[gpu] for gpu in group.gpus] or [[]]
        for place in places:
            for _ in range(0 if group.passive else max(group.count, 1)):
                alone = ModelConfig()
                alone.CopyFrom(single)
                del alone.instance_group[:]
                kept = alone.instance_group.add()
                kept.CopyFrom(group)
                kept.count = 1
                kept.gpus[:] = place
                configs.append(alone)
    return configs


def _add_states(config: ModelConfig, batching: ModelSequenceBatching) -> None:
    inputs, outputs = {tensor.name for tensor in config.input}, {tensor.name for tensor in config.output}
    for state in batching.state:
        if state.input_name not in inputs:
            config.input.add(name=state.input_name, data_type=state.data_type, dims=state.dims)
        if state.output_name not in outputs:
            config.output.add(name=state.output_name, data_type=state.data_type, dims=state.dims)


def control_tensor(control: ControlSpec, value: bool | int | str, *, batches: bool) -> Tensor:
    """Return a control input of one row: the stand-in for a truth, or the correlation id itself.

    Raises ServeError: INVALID_ARGUMENT for a correlation id that the control's type cannot hold.
    """
    shape = (1, 1) if batches else (1,)
    if control.dtype is Dtype.BYTES:
        text = str(value).encode()
        return Tensor(control.name, control.dtype, shape, len(text).to_bytes(4, "little") + text)
    if isinstance(value, bool):
        number: float = control.true if value else control.false
    else:
        number = _correlation_number(control, value)
    return Tensor(control.name, control.dtype, shape, np.array([number]).astype(control.dtype.numpy).tobytes())


def _correlation_number(control: ControlSpec, value: int | str) -> int:
    bounds = np.iinfo(control.dtype.numpy.str)
    if isinstance(value, str):
        # As in Triton, a model that wants numbers gets one that stands for the text.
        digest = hashlib.blake2b(value.encode(), digest_size=control.dtype.size_bytes).digest()
        return int.from_bytes(digest, "little") & int(bounds.max)
    if not bounds.min <= value <= bounds.max:
        raise invalid(
            f"sequence id '{value}' does not fit control input '{control.name}', which is of type "
            f"'{control.dtype.value}'"
        )
    return value


def initial_state(state: StateSpec, content: bytes | None, *, batches: bool) -> Tensor:
    """Return the state of a sequence that begins, under the input's name.

    content: of the state's file; None: zeros, and one for each dimension that varies.
    Raises ServeError: INVALID_ARGUMENT for a file of another size.
    """
    dims = tuple(max(dim, 1) for dim in state.dims)
    shape = (1, *dims) if batches else dims
    zeros = (b"\0\0\0\0" if state.dtype is Dtype.BYTES else b"\0" * state.dtype.size_bytes) * math.prod(shape)
    if content is None:
        content = zeros
    elif state.dtype is not Dtype.BYTES and len(content) != len(zeros):
        raise invalid(
            f"the initial state of '{state.input_name}' in '{state.initial_file}' has {len(content)} bytes, expected "
            f"{len(zeros)}"
        )
    return Tensor(state.input_name, state.dtype, shape, content)


def _chosen(specs: Sequence[TensorSpec], indices: Iterable[int]) -> tuple[TensorSpec, ...]:
    return tuple(specs[index] for index in indices)


def _check_utilization(config: ModelConfig) -> None:
    utilization = config.sequence_batching.direct.minimum_slot_utilization
    if not 0.0 <= utilization <= 1.0:
        raise invalid(f"sequence batching minimum slot utilization must be in range (0.0, 1.0] for {config.name}")


def _check_unique(config: ModelConfig, controls: Sequence[ControlSpec]) -> None:
    for kind in {control.kind for control in controls}:
        if sum(control.kind == kind for control in controls) > 1:
            raise invalid(f"sequence batching specifies multiple {Kind.Name(kind)} tensors for {config.name}")
    if len({control.name for control in controls}) != len(controls):
        raise invalid(f"sequence batching control tensors must have a unique name for {config.name}")


def _controls(config: ModelConfig) -> Iterable[ControlSpec]:
    for tensor in config.sequence_batching.control_input:
        if not tensor.name:
            raise invalid(f"sequence batching control tensor must have a name for {config.name}")
        for control in tensor.control:
            if control.kind == Kind.CONTROL_SEQUENCE_CORRID:
                yield ControlSpec(tensor.name, control.kind, _correlation_dtype(config, control))
            else:
                yield _truth(config, tensor.name, control)


def _truth(config: ModelConfig, name: str, control: ModelSequenceBatching.Control) -> ControlSpec:
    kind = Kind.Name(control.kind)
    given = [(field, dtype) for field, dtype in _VALUES if getattr(control, field)]
    if len(given) != 1:
        raise invalid(
            "sequence batching must specify either 'int32_false_true', 'fp32_false_true' or 'bool_false_true' for "
            f"{kind} for {config.name}"
        )
    field, dtype = given[0]
    values = getattr(control, field)
    if len(values) != 2:
        raise invalid(f"sequence batching control '{field}' must have exactly 2 entries for {kind} for {config.name}")
    return ControlSpec(name, control.kind, dtype, *values)


def _correlation_dtype(config: ModelConfig, control: ModelSequenceBatching.Control) -> Dtype:
    dtype = _DTYPES.get(DataType.Name(control.data_type))
    if dtype not in _CORRELATION_DTYPES:
        allowed = ", ".join(known.config_name for known in _CORRELATION_DTYPES)
        raise invalid(
            f"unexpected data type for control CONTROL_SEQUENCE_CORRID for {config.name}. Allowed data types are "
            f"{allowed}"
        )
    return dtype


def _state(config: ModelConfig, state: ModelSequenceBatching.State) -> StateSpec:
    dtype = _DTYPES.get(DataType.Name(state.data_type))
    if not state.input_name or not state.output_name or dtype is None:
        raise invalid(f"sequence batching state must specify input_name, output_name and data_type for {config.name}")
    file = state.initial_state[0].data_file if state.initial_state else ""
    dims = tuple(state.initial_state[0].dims) if state.initial_state else tuple(state.dims)
    return StateSpec(state.input_name, state.output_name, dtype, dims, file)
