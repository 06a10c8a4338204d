"""Slices of processes to windows, and when windows agree."""

from typing import Any

import numpy as np
import pytest
from npuserve._load import bucket_of
from npuserve.migrate.load.exchange import Slice
from npuserve.migrate.load.histogram import Histogram
from npuserve.migrate.load.report import Failure, Window
from npuserve.migrate.load.windows import agree, joined, window_of


def counted(value_ns: int, count: int) -> dict[str, Any]:
    counts = np.array([count], np.uint64).tobytes()
    total = {"min_ns": value_ns, "max_ns": value_ns, "sum_ns": value_ns * count}
    return {"first": bucket_of(value_ns), "counts": counts, **total}


def part(count: int, failures: dict[int, tuple[int, bytes]], cpu: float = 0.1, behind_ns: int = 0) -> Slice:
    tally: Any = {
        "latency": counted(1_000_000, count),
        "service": counted(900_000, count),
        "failures": failures,
        "sent": count,
        "sent_bytes": 10 * count,
        "received_bytes": 20 * count,
        "behind_ns": behind_ns,
    }
    return Slice(tally=tally, seconds=0.5, cpu_seconds=cpu)


def window(throughput: int, latency_ns: int) -> Window:
    histogram = Histogram.of([latency_ns] * throughput)
    return Window(
        seconds=1.0,
        latency=histogram,
        service=histogram,
        sent=throughput,
        sent_bytes=0,
        received_bytes=0,
        failures=(),
        behind_seconds=0.0,
        client_cores=0.5,
    )


def test_what_processes_count_in_the_same_time_adds_up() -> None:
    both = window_of([part(100, {}, cpu=0.2, behind_ns=5), part(50, {}, cpu=0.3, behind_ns=2_000_000_000)])
    assert both.throughput == 300
    assert (both.sent, both.sent_bytes, both.received_bytes) == (150, 1500, 3000)
    assert both.client_cores == pytest.approx(1.0)
    assert both.behind_seconds == 2.0


def test_windows_that_follow_each_other_share_their_time() -> None:
    whole = joined([window(100, 5), window(200, 5)])
    assert whole.seconds == 2.0
    assert whole.throughput == 150
    assert whole.client_cores == 0.5


def test_failures_are_told_by_status_with_the_first_message_the_commonest_first() -> None:
    found = window_of(
        [
            part(1, {14: (2, b"full%3A 7"), -1: (1, b"gone")}),
            part(1, {14: (3, b"later"), 503: (9, b'{"error":"no room"}'), 99: (1, b""), -2: (1, b"cut")}),
        ]
    )
    assert found.failures == (
        Failure("HTTP 503", 9, "no room"),
        Failure("UNAVAILABLE", 5, "full: 7"),
        Failure("connection", 1, "gone"),
        Failure("status 99", 1, ""),
        Failure("bad answer", 1, "cut"),
    )
    assert found.failed == 17


@pytest.mark.parametrize(
    ("windows", "does"),
    [
        ([(100, 1000)] * 2, False),
        ([(100, 1000)] * 3, True),
        ([(50, 1000), (100, 1000), (104, 960), (96, 1040)], True),
        ([(100, 1000), (100, 1000), (150, 1000)], False),
        ([(100, 1000), (100, 1000), (100, 1500)], False),
    ],
)
def test_the_last_three_agree_if_each_is_near_their_mean_in_rate_and_in_latency(
    windows: list[tuple[int, int]], does: bool
) -> None:
    assert agree([window(*each) for each in windows], 0.1) is does


def test_windows_without_an_answer_agree_on_nothing() -> None:
    assert not agree([window(0, 0)] * 3, 0.1)
