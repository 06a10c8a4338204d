import numpy as np
import pytest
from google.protobuf import text_format
from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.config.sequence import (
    ControlSpec,
    Kind,
    StateSpec,
    control_tensor,
    initial_state,
    instance_configs,
    sequence_options,
    visible_signature,
)
from npuserve.core.dtype import Dtype
from npuserve.core.errors import ServeError
from npuserve.core.signature import Gear, ModelSignature, TensorSpec

START = 'control_input { name: "START" control { kind: CONTROL_SEQUENCE_START int32_false_true: [ 0, 1 ] } }'
ID = 'control_input { name: "ID" control { kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_UINT64 } }'
STATE = 'state { input_name: "S_IN" output_name: "S_OUT" data_type: TYPE_FP32 dims: [ 2 ] }'


def config(batching: str, rest: str = "max_batch_size: 4") -> ModelConfig:
    return text_format.Parse(f'name: "m" {rest} sequence_batching {{ {batching} }}', ModelConfig())


def test_direct_has_a_slot_for_each_row_and_oldest_what_it_says() -> None:
    assert sequence_options(config("direct { }")).slots_per_instance == 4
    assert sequence_options(config("direct { }", "max_batch_size: 0")).slots_per_instance == 1
    assert sequence_options(config("oldest { max_candidate_sequences: 9 }")).slots_per_instance == 9


def test_controls_and_states_are_read() -> None:
    options = sequence_options(config(START + ID + STATE))
    assert options.controls == (
        ControlSpec("START", Kind.CONTROL_SEQUENCE_START, Dtype.INT32, 0, 1),
        ControlSpec("ID", Kind.CONTROL_SEQUENCE_CORRID, Dtype.UINT64),
    )
    assert options.states == (StateSpec("S_IN", "S_OUT", Dtype.FP32, (2,)),)


@pytest.mark.parametrize(
    ("batching", "text"),
    [
        ("iterative_sequence: true", "iterative_sequence is not supported"),
        ("oldest { }", "sequence batching maximum candidate sequences must be greater than 0 for m"),
        ("direct { minimum_slot_utilization: 1.5 }", "minimum slot utilization must be in range (0.0, 1.0] for m"),
        (START + START.replace('"START"', '"B"'), "specifies multiple CONTROL_SEQUENCE_START tensors for m"),
        (START + ID.replace('"ID"', '"START"'), "must have a unique name for m"),
        (START.replace('"START"', '""'), "control tensor must have a name for m"),
        (
            START.replace("[ 0, 1 ]", "[ 0 ]"),
            "'int32_false_true' must have exactly 2 entries for CONTROL_SEQUENCE_START",
        ),
        (
            'control_input { name: "S" control { kind: CONTROL_SEQUENCE_END } }',
            "must specify either 'int32_false_true'",
        ),
        (ID.replace("TYPE_UINT64", "TYPE_FP32"), "unexpected data type for control CONTROL_SEQUENCE_CORRID for m"),
        (STATE.replace('"S_OUT"', '""'), "state must specify input_name, output_name and data_type for m"),
    ],
)
def test_a_wrong_config_is_refused(batching: str, text: str) -> None:
    with pytest.raises(ServeError) as caught:
        sequence_options(config(batching))
    assert text in caught.value.message


def test_clients_do_not_see_what_the_server_fills() -> None:
    specs = {name: TensorSpec(name, Dtype.FP32, (-1, 2)) for name in ("X", "START", "S_IN", "Y", "S_OUT")}
    full = ModelSignature(
        inputs=(specs["START"], specs["X"], specs["S_IN"]),
        outputs=(specs["S_OUT"], specs["Y"]),
        gears=(Gear(((1, 1), (1, 2), (1, 3)), ((1, 4), (1, 5))),),
    )
    shown = visible_signature(config(START + STATE), full)
    assert (shown.inputs, shown.outputs) == ((specs["X"],), (specs["Y"],))
    assert shown.gears == (Gear(((1, 2),), ((1, 5),)),)
    served = visible_signature(config(START + STATE, 'output { name: "S_OUT" }'), full)
    assert served.outputs == full.outputs
    assert visible_signature(ModelConfig(), full) is full


def test_each_instance_is_a_model_of_its_own_that_batches_across_sequences() -> None:
    groups = "instance_group { count: 2 gpus: [ 0, 1 ] } instance_group { count: 1 passive: true }"
    oldest = "oldest { max_candidate_sequences: 4 preferred_batch_size: [ 2 ] max_queue_delay_microseconds: 7 }"
    configs = instance_configs(config(oldest, f"max_batch_size: 4 {groups}"))
    assert [list(each.instance_group[0].gpus) for each in configs] == [[0], [0], [1], [1]]
    assert all(each.instance_group[0].count == 1 and len(each.instance_group) == 1 for each in configs)
    batching = configs[0].dynamic_batching
    assert (list(batching.preferred_batch_size), batching.max_queue_delay_microseconds) == ([2], 7)


def test_to_an_instance_states_are_inputs_and_outputs_that_it_computes_and_batches_by() -> None:
    served = 'output { name: "S_OUT" data_type: TYPE_FP32 dims: [ -1 ] }'
    other = STATE.replace("S_", "T_")
    (alone,) = instance_configs(
        config(STATE.replace("[ 2 ]", "[ -1 ]") + other, f"{served} instance_group {{ count: 1 }}")
    )
    assert [(tensor.name, list(tensor.dims)) for tensor in alone.input] == [("S_IN", [-1]), ("T_IN", [2])]
    assert [tensor.name for tensor in alone.output] == ["S_OUT", "T_OUT"]


def test_a_state_file_of_another_size_is_refused() -> None:
    with pytest.raises(ServeError, match="initial state of 'S' in 'f' has 7 bytes, expected 8"):
        initial_state(StateSpec("S", "T", Dtype.FP32, (2,), "f"), bytes(7), batches=True)


@pytest.mark.parametrize(
    ("control", "value", "expected"),
    [
        (ControlSpec("c", Kind.CONTROL_SEQUENCE_START, Dtype.INT32, 5, 7), True, np.array([7], np.int32)),
        (ControlSpec("c", Kind.CONTROL_SEQUENCE_END, Dtype.FP32, 0, 1), False, np.array([0], np.float32)),
        (ControlSpec("c", Kind.CONTROL_SEQUENCE_READY, Dtype.BOOL, False, True), True, np.array([True])),
        (ControlSpec("c", Kind.CONTROL_SEQUENCE_CORRID, Dtype.UINT64), 2**64 - 1, np.array([2**64 - 1], np.uint64)),
    ],
)
def test_a_control_tensor_has_one_element(control: ControlSpec, value: bool | int, expected: "np.ndarray") -> None:
    tensor = control_tensor(control, value, batches=True)
    assert (tensor.shape, tensor.dtype, tensor.data) == ((1, 1), control.dtype, expected.tobytes())
    assert control_tensor(control, value, batches=False).shape == (1,)


def test_a_correlation_id_may_be_a_string() -> None:
    control = ControlSpec("c", Kind.CONTROL_SEQUENCE_CORRID, Dtype.BYTES)
    assert control_tensor(control, "ab", batches=False).data == b"\x02\0\0\0ab"


@pytest.mark.parametrize("dtype", [Dtype.UINT64, Dtype.INT64, Dtype.UINT32, Dtype.INT32])
def test_a_text_is_a_number_to_models_that_want_numbers(dtype: Dtype) -> None:
    control = ControlSpec("c", Kind.CONTROL_SEQUENCE_CORRID, dtype)
    numbers = {int(np.frombuffer(control_tensor(control, text, batches=True).data, dtype.numpy)[0]) for text in "ab"}
    assert len(numbers) == 2
    assert all(number > 0 for number in numbers)


@pytest.mark.parametrize("value", [-1, 2**64])
def test_a_correlation_id_that_does_not_fit_is_refused(value: int) -> None:
    with pytest.raises(ServeError) as caught:
        control_tensor(ControlSpec("c", Kind.CONTROL_SEQUENCE_CORRID, Dtype.UINT64), value, batches=True)
    assert caught.value.message == f"sequence id '{value}' does not fit control input 'c', which is of type 'UINT64'"


def test_a_state_begins_with_zeros_or_with_its_file() -> None:
    state = StateSpec("S", "T", Dtype.FP32, (2, -1))
    assert initial_state(state, None, batches=True).shape == (1, 2, 1)
    assert initial_state(state, None, batches=True).data == bytes(8)
    assert initial_state(state, b"12345678", batches=False).data == b"12345678"
    assert initial_state(StateSpec("S", "T", Dtype.BYTES, (2,)), None, batches=False).data == bytes(8)
