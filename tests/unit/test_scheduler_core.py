"""The native core as Python sees it: tickets, refusals, instants."""

from typing import Any

import pytest
from npuserve._engine import OVERLOADED, QUEUE_FULL, STOPPING, SchedulerCore

NO_POLICY = (0, False, False, 0)
MS = 1_000_000


def core(**changes: Any) -> SchedulerCore:
    options: dict[str, Any] = {
        "instances": 1,
        "max_batch_size": 4,
        "dynamic_batching": True,
        "preferred_batch_sizes": (),
        "max_queue_delay_us": 0,
        "levels": 1,
        "default_level": 1,
        "default_policy": NO_POLICY,
        "policies": {},
        "max_predicted_wait_us": 0,
        "target_p99_us": 0,
    }
    return SchedulerCore(**{**options, **changes})


def submit(asked: SchedulerCore, now_ns: int = 0, **more: Any) -> int:
    return asked.submit(
        now_ns, more.get("rows", 1), more.get("row_shape", ()), more.get("priority", 0), more.get("timeout_us", 0)
    )


def test_a_batch_has_the_tickets_of_its_requests_and_an_instance() -> None:
    asked = core()
    tickets = [submit(asked) for _ in range(5)]
    assert asked.queued == 5
    assert asked.take(0) == (0, tickets[:4])
    assert asked.take(0) is None
    asked.ended(0, 10)
    assert asked.take(10) == (0, tickets[4:])
    assert asked.queued == 0


def test_every_free_instance_gets_a_batch() -> None:
    asked = core(instances=2, dynamic_batching=False)
    for _ in range(3):
        submit(asked)
    taken = [asked.take(0), asked.take(0)]
    assert [each[0] for each in taken if isinstance(each, tuple)] == [0, 1]
    assert asked.take(0) is None


def test_a_batch_that_may_grow_says_when_to_ask_again() -> None:
    asked = core(max_queue_delay_us=1000)
    ticket = submit(asked, 5)
    assert asked.take(5) == 5 + 1 * MS
    assert asked.take(5 + 1 * MS) == (0, [ticket])


def test_requests_that_are_not_taken_have_no_ticket() -> None:
    asked = core(default_policy=(0, False, False, 1))
    assert submit(asked) >= 0
    assert submit(asked) == QUEUE_FULL
    asked.stop()
    assert submit(asked) == STOPPING
    loaded = core(max_predicted_wait_us=1)
    submit(loaded)
    loaded.take(0)
    loaded.ended(0, 50 * MS)
    submit(loaded)
    loaded.take(50 * MS)
    assert submit(loaded, 50 * MS) == OVERLOADED
    assert loaded.predicted_wait_ns(50 * MS) == 50 * MS


def test_requests_time_out_and_leave_at_will() -> None:
    asked = core(default_policy=(1000, True, False, 0))
    patient, hurried, gone = submit(asked), submit(asked, timeout_us=500), submit(asked, timeout_us=400)
    asked.cancel(gone)
    assert asked.next_expiry_ns == 500_000
    assert asked.expire(500_000) == [hurried]
    assert asked.take(500_000) == (0, [patient])
    assert asked.next_expiry_ns is None


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("instances", 0),
        ("levels", 0),
        ("levels", 65537),
        ("default_level", 2),
        ("max_queue_delay_us", -1),
        ("max_queue_delay_us", 2**51),
        ("max_predicted_wait_us", -1),
        ("target_p99_us", 2**51),
        ("default_policy", (-1, False, False, 0)),
        ("policies", {1: (0, False, False, -1)}),
    ],
)
def test_what_is_out_of_range_is_refused(option: str, value: object) -> None:
    with pytest.raises(ValueError, match=r"must be"):
        core(**{option: value})
