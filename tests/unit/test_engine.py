"""The engine on the emulator: round trips, padding, isolation, statistics, faults."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from npuserve import _engine
from npuserve.core.timing import request_timing
from support.emulator import LIBRARY
from support.engine_session import (
    CANCELLED,
    INVALID_ARGUMENT,
    OK,
    UNAVAILABLE,
    Array,
    Session,
    numbered,
    options,
    values,
)
from support.models import build_models, expected_tokens

ROOT = Path(__file__).resolve().parent.parent.parent
MODELS = ROOT / "build" / "engine_models"


@pytest.fixture(scope="module")
def models() -> Path:
    build_models(MODELS)
    return MODELS


@pytest.fixture(scope="module")
def runtime() -> Iterator[_engine.Runtime]:
    runtime = _engine.Runtime([[str(LIBRARY)]])
    yield runtime
    runtime.close()


Opener = Callable[..., Session]


@pytest.fixture
def open_model(runtime: _engine.Runtime, models: Path) -> Iterator[Opener]:
    sessions: list[Session] = []

    def opened(name: str, **chosen: Any) -> Session:
        sessions.append(Session(runtime, models / f"{name}.om", options(**chosen)))
        return sessions[-1]

    yield opened
    for session in sessions:
        session.close()


def token_inputs(rows: int, length: int, seed: int) -> tuple[Array, Array]:
    random = np.random.default_rng(seed)
    return random.integers(1, 1000, (rows, length)), random.integers(0, 2, (rows, length))


def test_a_library_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(_engine.LibraryError, match="nowhere/libascendcl"):
        _engine.Runtime([[str(tmp_path / "nowhere/libascendcl.so")]])


def test_the_runtime_names_what_it_runs_on(runtime: _engine.Runtime) -> None:
    assert runtime.library_files == [str(LIBRARY)]
    assert runtime.soc_name == "Ascend910B3"
    assert runtime.device_count == 1


def test_a_model_is_described_with_all_its_gears(runtime: _engine.Runtime, models: Path) -> None:
    signature = runtime.describe(str(models / "tokens.om"))
    assert [(spec.name, spec.dtype, spec.shape) for spec in signature.inputs] == [
        ("input_ids", "INT64", (-1, -1)),
        ("attention_mask", "INT64", (-1, -1)),
    ]
    assert [(spec.name, spec.dtype, spec.shape) for spec in signature.outputs] == [("logits", "FP32", (-1, -1, 3))]
    shapes = {(tuple(gear.input_shapes), tuple(gear.output_shapes)) for gear in signature.gears}
    assert shapes == {
        (((rows, length), (rows, length)), ((rows, length, 3),)) for rows in (1, 2, 4, 8) for length in (8, 16)
    }


def test_a_static_model_has_one_gear(runtime: _engine.Runtime, models: Path) -> None:
    signature = runtime.describe(str(models / "identity_static.om"))
    assert [gear.input_shapes for gear in signature.gears] == [[(4, 4)]]
    assert signature.outputs[0].shape == (4, 4)


def test_a_missing_model_is_an_acl_error_with_its_parts(runtime: _engine.Runtime, tmp_path: Path) -> None:
    with pytest.raises(_engine.AclError) as raised:
        runtime.describe(str(tmp_path / "missing.om"))
    error = raised.value
    assert error.call == "aclmdlLoadFromFile"
    assert error.code == 145002
    assert error.code_name == "ACL_ERROR_GE_EXEC_MODEL_PATH_INVALID"
    assert error.kind == "invalid"
    assert str(error.code) in str(error)


@pytest.mark.parametrize("rows", range(1, 9))
def test_rows_come_back_as_they_were_sent(open_model: Opener, rows: int) -> None:
    completion = open_model("identity_b8").run(numbered(rows))
    assert completion.status == OK
    assert completion.message == ""
    np.testing.assert_array_equal(values(completion), numbered(rows))


def test_all_outputs_come_in_the_models_order(open_model: Opener) -> None:
    a, b = numbered(3), numbered(3, 100)
    completion = open_model("add_mul", variable_output_axes=((), ())).run(a, b)
    np.testing.assert_array_equal(values(completion, 0), a + b)
    np.testing.assert_array_equal(values(completion, 1), a * b)


@pytest.mark.parametrize(("rows", "length"), [(1, 1), (1, 8), (3, 5), (8, 9), (8, 16)])
def test_lengths_are_padded_to_a_gear_and_cut_back(open_model: Opener, rows: int, length: int) -> None:
    inputs = token_inputs(rows, length, seed=rows * length)
    completion = open_model("tokens", variable_output_axes=((1,),)).run(*inputs)
    assert completion.outputs[0].shape == (rows, length, 3)
    np.testing.assert_array_equal(values(completion), expected_tokens(*inputs))


def test_an_output_is_not_cut_where_it_does_not_follow_the_length(open_model: Opener) -> None:
    inputs = token_inputs(1, 5, seed=1)
    completion = open_model("tokens").run(*inputs)
    assert completion.outputs[0].shape == (1, 8, 3)
    np.testing.assert_array_equal(values(completion)[:, :5], expected_tokens(*inputs))


def test_mixed_sizes_and_lengths_at_once_are_each_answered_right(open_model: Opener) -> None:
    session = open_model("tokens", variable_output_axes=((1,),))
    sent = {token: token_inputs(1 + token % 8, 1 + token % 16, seed=token) for token in range(200)}
    for token, inputs in sent.items():
        session.submit(token, *inputs)
    for token, completion in session.collect(len(sent)).items():
        np.testing.assert_array_equal(values(completion), expected_tokens(*sent[token]))


def test_a_model_without_batching_takes_its_exact_shape(open_model: Opener) -> None:
    session = open_model("identity_static", max_batch_size=0)
    session.submit(5, numbered(4), rows=1)
    np.testing.assert_array_equal(values(session.collect(1)[5]), numbered(4))
    with pytest.raises(ValueError, match=r"input 'x': expected shape \[4,4\], got \[3,4\]"):
        session.submit(6, numbered(3), rows=1)


def test_a_static_model_batches_up_to_its_one_gear(open_model: Opener) -> None:
    np.testing.assert_array_equal(values(open_model("identity_static", max_batch_size=4).run(numbered(3))), numbered(3))


def test_no_row_reaches_the_wrong_caller_under_64_threads(runtime: _engine.Runtime, open_model: Opener) -> None:
    threads, each = 64, 30
    session = open_model("identity_b8", devices=(0, 0))
    allocations = runtime.device_allocations

    def send(thread: int) -> None:
        for index in range(each):
            token = thread * each + index
            session.submit(token, numbered(1 + token % 8, start=token * 32))

    senders = [threading.Thread(target=send, args=(thread,)) for thread in range(threads)]
    for sender in senders:
        sender.start()
    answers = session.collect(threads * each)
    for sender in senders:
        sender.join()
    for token, completion in answers.items():
        np.testing.assert_array_equal(values(completion), numbered(1 + token % 8, start=token * 32))

    statistics = session.model.statistics()
    assert statistics.success.count == statistics.queue.count == threads * each
    assert statistics.compute_infer.count == threads * each
    assert statistics.fail.count == 0
    assert statistics.inference_count == sum(1 + token % 8 for token in range(threads * each))
    assert statistics.execution_count == sum(batch.compute_infer.count for batch in statistics.batches)
    assert statistics.inference_count == sum(b.batch_size * b.compute_infer.count for b in statistics.batches)
    assert statistics.execution_count < threads * each
    assert session.model.pending == 0
    assert runtime.device_allocations == allocations


def test_warming_up_is_in_no_counter(open_model: Opener) -> None:
    statistics = open_model("identity_b8").model.statistics()
    assert statistics.execution_count == 0
    assert statistics.last_inference_ms == 0
    assert statistics.batches == []


def test_the_durations_of_requests_add_up(open_model: Opener) -> None:
    session = open_model("identity_b8")
    for token in range(20):
        session.submit(token, numbered(2))
    session.collect(20)
    s = session.model.statistics()
    assert s.success.ns == s.queue.ns + s.compute_input.ns + s.compute_infer.ns + s.compute_output.ns
    assert s.compute_infer.ns > 0


def test_a_completion_tells_the_stages_on_the_device(open_model: Opener) -> None:
    session = open_model("identity_b8")
    before_ns = time.monotonic_ns()
    for number in (1, 2):
        completion = session.run(numbered(3))
        assert completion.timing is not None
        timing = request_timing(completion.timing)
        assert (timing.batch_id, timing.batch_rows) == (number, 3)
        assert session.model.signature.gears[timing.gear].input_shapes[0][0] == 4
        instants = [before_ns, timing.arrival_ns, timing.start_ns, timing.gathered_ns, timing.h2d_end_ns]
        instants += [timing.execute_end_ns, timing.d2h_end_ns, timing.scattered_ns, time.monotonic_ns()]
        assert instants == sorted(instants)


def test_the_stages_on_the_device_are_told_only_if_asked_for(open_model: Opener) -> None:
    timing = open_model("identity_b8", time_stages=False).run(numbered(3)).timing
    assert timing is not None
    told = request_timing(timing)
    assert (told.h2d_end_ns, told.execute_end_ns) == (0, 0)
    assert told.d2h_end_ns > told.gathered_ns


def test_outputs_of_the_device_go_to_their_destinations(open_model: Opener) -> None:
    session = open_model("identity_b8")
    given, taken = numbered(3), np.zeros_like(numbered(3))
    session.model.submit(1, [(given, given.shape)], 3, [taken])
    (output,) = session.collect(1)[1].outputs
    assert (output.shape, len(memoryview(output))) == (given.shape, 0)
    np.testing.assert_array_equal(taken, given)
    with pytest.raises(ValueError, match="expected a destination or None for each of 1 outputs, got 2"):
        session.model.submit(2, [(given, given.shape)], 3, [taken, None])


def test_a_request_longer_than_any_gear_is_answered_with_the_reason(open_model: Opener) -> None:
    completion = open_model("tokens", variable_output_axes=((1,),)).run(*token_inputs(2, 17, seed=1))
    assert completion.status == INVALID_ARGUMENT
    assert completion.message == (
        "no gear of the model holds input 'input_ids' of shape [2,17]; the largest gear is [8,16]"
    )
    assert completion.outputs == []


def test_a_queued_request_can_be_cancelled_once(open_model: Opener) -> None:
    session = open_model("identity_b8", max_queue_delay_us=60_000_000)
    session.submit(1, numbered(1))
    assert session.model.pending == 1
    assert session.model.cancel(1)
    assert not session.model.cancel(1)
    completion = session.collect(1)[1]
    assert (completion.status, completion.message) == (CANCELLED, "")
    assert session.model.statistics().fail.count == 1


def test_a_full_queue_and_a_closed_model_refuse_with_tritons_words(open_model: Opener) -> None:
    session = open_model("identity_b8", max_queue_delay_us=60_000_000, max_queue_size=2)
    for token in range(3):
        session.submit(token, numbered(1))
    refused = session.collect(1)[2]
    assert (refused.status, refused.message) == (UNAVAILABLE, "Exceeds maximum queue size")
    session.model.close()
    assert all(completion.status == OK for completion in session.collect(2).values())
    session.submit(4, numbered(1))
    refused = session.collect(1)[4]
    assert refused.status == UNAVAILABLE
    assert refused.message == "Server is stopping, scheduler for model has stopped accepting new inference requests"
    session.model.close()


@pytest.mark.parametrize(
    ("inputs", "rows", "text"),
    [
        ([], 1, "expected 1 inputs, got 0"),
        ([(np.zeros((1, 4), np.float32), (1, 4))] * 2, 1, "expected 1 inputs, got 2"),
        ([(np.zeros((2, 4), np.float32), (2, 4))], 1, r"expected shape \[1,4\], got \[2,4\]"),
        ([(np.zeros((1, 5), np.float32), (1, 5))], 1, r"expected shape \[1,4\], got \[1,5\]"),
        ([(np.zeros((1, 4), np.float16), (1, 4))], 1, "expected 16 bytes, got 8"),
        ([(np.zeros((9, 4), np.float32), (9, 4))], 9, "rows must be in 1 to 8, got 9"),
        ([(np.zeros((0, 4), np.float32), (0, 4))], 0, "rows must be in 1 to 8, got 0"),
    ],
)
def test_what_does_not_fit_the_model_raises(
    open_model: Opener, inputs: list[tuple[Array, tuple[int, ...]]], rows: int, text: str
) -> None:
    session = open_model("identity_b8")
    with pytest.raises(ValueError, match=text):
        session.model.submit(1, inputs, rows)
    assert session.model.pending == 0


def test_memory_that_is_not_contiguous_is_refused(open_model: Opener) -> None:
    session = open_model("identity_b8")
    with pytest.raises((ValueError, BufferError), match="contiguous"):
        session.model.submit(1, [(numbered(4).T, (4, 4))], 4)


@pytest.mark.parametrize(
    ("name", "chosen", "text"),
    [
        ("identity_b8", {"max_batch_size": 9}, "max_batch_size is 9, but the largest gear holds 8 rows"),
        ("identity_b8", {"variable_output_axes": ()}, "variable_output_axes has 0 entries for 1 outputs"),
        ("identity_b8", {"variable_output_axes": ((1,),)}, "no input has a variable length"),
        ("tokens", {"variable_output_axes": ((2,),)}, "variable axis 2 of output 'logits' has size 3"),
        ("identity_b8", {"devices": ()}, "devices must name a device"),
        ("identity_b8", {"max_queue_delay_us": -1}, "max_queue_delay_us must be in 0 to"),
    ],
)
def test_options_that_contradict_the_model_are_refused(
    runtime: _engine.Runtime, models: Path, name: str, chosen: dict[str, Any], text: str
) -> None:
    with pytest.raises(ValueError, match=text):
        Session(runtime, models / f"{name}.om", options(**chosen))


def test_inputs_are_held_until_the_completion_is_drained(open_model: Opener) -> None:
    session = open_model("identity_b8")
    memory = bytearray(numbered(1).tobytes())
    session.model.submit(1, [(memory, (1, 4))], 1)
    assert session.completions.wait(60)
    with pytest.raises(BufferError):
        memory.append(0)
    session.completions.drain()
    memory.append(0)


def test_an_output_outlives_its_completion_its_queue_and_its_model(runtime: _engine.Runtime, models: Path) -> None:
    session = Session(runtime, models / "identity_b8.om", options())
    view = memoryview(session.run(numbered(2)).outputs[0])
    session.close()
    del session
    assert view.readonly
    assert (view.format, view.ndim) == ("B", 1)
    np.testing.assert_array_equal(np.frombuffer(view, np.float32).reshape(2, 4), numbered(2))


def test_completions_wake_an_event_loop(open_model: Opener) -> None:
    session = open_model("identity_b8")

    async def first_answers() -> list[_engine.Completion]:
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(session.completions.fileno(), readable.set)
        try:
            for token in range(3):
                session.submit(token, numbered(1))
            got: list[_engine.Completion] = []
            while len(got) < 3:
                await asyncio.wait_for(readable.wait(), 60)
                readable.clear()
                got += session.completions.drain()
            return got
        finally:
            loop.remove_reader(session.completions.fileno())

    assert sorted(completion.token for completion in asyncio.run(first_answers())) == [0, 1, 2]
    assert not session.completions.wait(0)


def test_waiting_ends_at_its_timeout_and_refuses_nonsense() -> None:
    queue = _engine.CompletionQueue()
    assert not queue.wait(0.01)
    assert queue.drain() == []
    with pytest.raises(ValueError, match="timeout_s"):
        queue.wait(-1)
    queue.close()
    queue.close()
    with pytest.raises(ValueError, match="closed"):
        queue.wait(0)


def test_waiting_for_a_completion_leaves_python_running(runtime: _engine.Runtime, models: Path) -> None:
    session = Session(runtime, models / "identity_b8.om", options(max_queue_delay_us=300_000))
    try:
        session.submit(1, np.ones((1, 4), np.float32))
        counted = 0
        waiting = threading.Thread(target=session.completions.wait, args=(60,))
        waiting.start()
        while waiting.is_alive():  # a wait that held the interpreter's lock would let nothing be counted
            counted += 1
        assert counted > 1000
        assert session.collect(1)[1].status == OK
    finally:
        session.close()


class MadeOnDemand:
    """A sequence that holds none of its items: each is made when it is asked for."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> tuple[bytes, tuple[int, int]]:
        if index > 0:
            raise IndexError(index)
        return np.arange(4, dtype=np.float32).tobytes(), (1, 4)


def test_inputs_may_be_made_while_they_are_read(open_model: Opener) -> None:
    session = open_model("identity_b8")
    session.model.submit(1, MadeOnDemand(), 1)  # type: ignore[arg-type]  # the protocol, not the class, is what counts
    completion = session.collect(1)[1]
    assert np.frombuffer(memoryview(completion.outputs[0]), np.float32).tolist() == [0, 1, 2, 3]
