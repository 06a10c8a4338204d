"""Buckets and queue policies of the engine on the emulator: nothing that is shared changes an answer."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from npuserve import _engine
from support.emulator import LIBRARY
from support.engine_session import INVALID_ARGUMENT, OK, UNAVAILABLE, Array, Session, numbered, options, values
from support.models import build_models, expected_tokens

MODELS = Path(__file__).resolve().parent.parent.parent / "build" / "engine_models"
LONG_US = 60_000_000


@pytest.fixture(scope="module")
def runtime() -> Iterator[_engine.Runtime]:
    build_models(MODELS)
    runtime = _engine.Runtime([[str(LIBRARY)]])
    yield runtime
    runtime.close()


Opener = Callable[..., Session]


@pytest.fixture
def open_model(runtime: _engine.Runtime) -> Iterator[Opener]:
    sessions: list[Session] = []

    def opened(name: str, **chosen: Any) -> Session:
        sessions.append(Session(runtime, MODELS / f"{name}.om", options(**chosen)))
        return sessions[-1]

    yield opened
    for session in sessions:
        session.close()


def token_inputs(rows: int, length: int, seed: int) -> tuple[Array, Array]:
    random = np.random.default_rng(seed)
    return random.integers(1, 1000, (rows, length)), np.ones((rows, length), np.int64)


def test_mixed_lengths_in_shared_batches_are_answered_as_alone(open_model: Opener) -> None:
    session = open_model("tokens", variable_output_axes=((1,),), buckets=True, mask_input="attention_mask")
    sent = {token: token_inputs(1 + token % 3, 1 + (7 * token) % 16, seed=token) for token in range(300)}
    for token, inputs in sent.items():
        session.submit(token, *inputs)
    for token, completion in session.collect(len(sent)).items():
        assert completion.outputs[0].shape == (*sent[token][0].shape, 3)
        np.testing.assert_array_equal(values(completion), expected_tokens(*sent[token]))
    statistics = session.model.statistics()
    assert statistics.execution_count < len(sent)
    gears = {gear.label: gear for gear in statistics.gears}
    assert set(gears) == {f"{rows}x{length}" for rows in (1, 2, 4, 8) for length in (8, 16)}
    for label, gear in gears.items():
        rows, length = map(int, label.split("x"))
        ran = gear.useful + gear.padding + gear.cancelled + gear.expired + gear.empty
        assert ran == gear.executions * rows * length
    assert sum(gear.executions for gear in gears.values()) == statistics.execution_count
    assert sum(gear.useful for gear in gears.values()) == sum(ids.size for ids, _ in sent.values())


def test_padding_of_the_client_is_detected_by_the_mask(open_model: Opener) -> None:
    session = open_model(
        "tokens", variable_output_axes=((1,),), buckets=True, mask_input="attention_mask", detect_padding=True
    )
    ids, mask = token_inputs(2, 40, seed=3)  # longer than any gear
    mask[0, 5:] = 0
    mask[1, 7:] = 0
    completion = session.run(ids, mask)
    assert (completion.status, completion.message) == (OK, "")
    assert completion.outputs[0].shape == (2, 40, 3)
    np.testing.assert_array_equal(values(completion)[:, :7], expected_tokens(ids[:, :7], mask[:, :7]))
    assert not values(completion)[:, 7:].any()
    (gear,) = (gear for gear in session.model.statistics().gears if gear.executions)
    assert gear.useful == 2 * 7


def test_what_fills_an_input_is_what_the_options_say(open_model: Opener) -> None:
    session = open_model("tokens", padding={"input_ids": 7}, mask_input="attention_mask")
    ids, mask = token_inputs(1, 5, seed=1)
    filled = np.pad(ids, ((0, 0), (0, 3)), constant_values=7), np.pad(mask, ((0, 0), (0, 3)))
    np.testing.assert_array_equal(values(session.run(ids, mask)), expected_tokens(*filled))


def test_priorities_and_timeouts_out_of_range_are_refused_where_they_count(open_model: Opener) -> None:
    session = open_model("identity_b8", levels=2, default_level=1, default_policy=(LONG_US, True, False, 0))
    row = [(numbered(1), (1, 4))]
    session.model.submit(1, row, 1, priority=3)
    session.model.submit(2, row, 1, timeout_us=0)
    session.model.submit(3, row, 1, priority=2, timeout_us=LONG_US)
    answers = session.collect(3)
    assert [(answers[token].status, answers[token].message) for token in (1, 2, 3)] == [
        (INVALID_ARGUMENT, "invalid value for 'priority' of model 'model', expected 0 to 2, got 3"),
        (INVALID_ARGUMENT, "invalid value for 'timeout' of model 'model', expected microseconds above 0, got 0"),
        (OK, ""),
    ]


def test_a_request_times_out_in_the_queue(open_model: Opener) -> None:
    session = open_model("identity_b8", max_queue_delay_us=LONG_US, default_policy=(1000, False, False, 0))
    completion = session.run(numbered(1))
    assert (completion.status, completion.message) == (UNAVAILABLE, "Request timeout expired")
    statistics = session.model.statistics()
    assert (statistics.expired, statistics.rejected, statistics.fail.count) == (1, 1, 1)


def test_a_deadline_that_has_passed_is_counted_as_work_for_nobody(open_model: Opener) -> None:
    session = open_model("identity_b8")
    session.model.submit(1, [(numbered(2), (2, 4))], 2, deadline=time.monotonic())
    assert session.collect(1)[1].status == OK
    (gear,) = (gear for gear in session.model.statistics().gears if gear.executions)
    assert (gear.label, gear.expired, gear.useful) == ("2", 2, 0)


@pytest.mark.parametrize(
    ("chosen", "text"),
    [
        ({"mask_input": "mask"}, "the model has no input 'mask'"),
        ({"padding": {"input_ids": 0.5}}, "input 'input_ids': padding value 0.5 is none of type INT64"),
        ({"detect_padding": True}, "padding can be detected by a mask only"),
        ({"levels": 2, "default_level": 3}, "the default priority level 3 is not in 1 to 2"),
        ({"buckets": True, "preserve_ordering": True}, "contradict the ordering"),
        ({"admission_max_wait_us": -1}, "admission_max_wait_us must be in 0 to"),
    ],
)
def test_options_that_contradict_the_model_are_refused(open_model: Opener, chosen: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        open_model("tokens", **chosen)
