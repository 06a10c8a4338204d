import math
from collections.abc import Sequence

import numpy as np
import pytest
from npuserve._load import BUCKETS, bucket_of
from npuserve.migrate.load import Failure, Histogram, LoadOptions, LoadReport, Window
from npuserve.migrate.prove.contest import Contestant, Standing, contest

SAMPLES = [{"x": np.ones((1, 4))}]
BOTH = [Contestant(name=name, url=f"{name}:1", model="m", samples=SAMPLES) for name in ("new", "old")]


def histogram(*milliseconds: int) -> Histogram:
    counts = np.zeros(BUCKETS, np.uint64)
    values = [value * 1_000_000 for value in milliseconds]
    for value in values:
        counts[bucket_of(value)] += np.uint64(1)
    return Histogram(counts, min(values, default=0), max(values, default=0), sum(values))


class Loads:
    """Answers in as many milliseconds as the round has had loads before; keeps what it was asked."""

    def __init__(self, failures: tuple[Failure, ...] = ()) -> None:
        self.asked: list[LoadOptions] = []
        self.failures = failures

    def __call__(self, options: LoadOptions) -> LoadReport:
        self.asked.append(options)
        latency = histogram(len(self.asked)) if not self.failures else histogram()
        window = Window(
            seconds=options.window_seconds,
            latency=latency,
            service=latency,
            sent=1,
            sent_bytes=0,
            received_bytes=0,
            failures=self.failures,
            behind_seconds=0,
            client_cores=0,
        )
        return LoadReport(
            model="m",
            protocol="grpc",
            concurrency=options.concurrency,
            request_rate=None,
            processes=1,
            connections=1,
            rows=1,
            measured=window,
            windows=(window,),
            stable=True,
            unanswered=0,
        )


def run(loads: Loads, rounds: int = 2) -> list[str]:
    told: list[str] = []
    contest(BOTH, (1, 8), seconds=4.0, rounds=rounds, tell=told.append, measure=loads)
    return told


def test_both_are_loaded_alike_and_take_turns_in_going_first() -> None:
    loads = Loads()
    told = run(loads)
    assert [(options.url, options.concurrency) for options in loads.asked] == [
        ("new:1", 1), ("old:1", 1), ("old:1", 1), ("new:1", 1),
        ("new:1", 8), ("old:1", 8), ("old:1", 8), ("new:1", 8),
    ]  # fmt: skip
    assert {options.window_seconds for options in loads.asked} == {2.0}
    assert told[2] == "load: old, 1 at once, round 2"


def test_what_is_in_doubt_is_measured_again_but_not_for_ever() -> None:
    loads, seen = Loads(), []

    def doubtful(standings: Sequence[Standing]) -> bool:
        seen.append((standings[0].concurrency, len(standings[1].rounds)))
        return standings[0].concurrency == 8

    found = contest(BOTH, (1, 8), seconds=4.0, rounds=2, tell=lambda text: None, doubtful=doubtful, measure=loads)
    assert [(each.concurrency, len(each.rounds)) for each in found] == [(1, 2), (1, 2), (8, 8), (8, 8)]
    assert seen == [(1, 2), (8, 2), (8, 4), (8, 6)]


def test_rounds_count_together() -> None:
    loads = Loads()
    first, second, *_ = contest(BOTH, (1,), seconds=4.0, rounds=2, tell=lambda text: None, measure=loads)
    assert (first.server, first.qps) == ("new", 2 / 4.0)
    # The new one went first and last: 1 and 4 ms.
    assert first.percentile_ms(99) == pytest.approx(4, rel=0.01)
    assert [each.p99_ms for each in first.rounds] == pytest.approx([1, 4], rel=0.01)
    assert [each.qps for each in first.rounds] == [0.5, 0.5]
    assert second.percentile_ms(99) == pytest.approx(3, rel=0.01)
    assert first.row()["p50_ms"] == pytest.approx(1, rel=0.01)
    points = first.cdf()["points"]
    assert [share for _, share in points] == [0.5, 1.0]


def test_a_service_that_only_fails_has_no_latency_and_its_first_error() -> None:
    loads = Loads((Failure("UNAVAILABLE", 3, "queue full"),))
    standing, *_ = contest(BOTH, (1,), seconds=1.0, rounds=1, tell=lambda text: None, measure=loads)
    assert (standing.qps, standing.errors, standing.first_error) == (0, 3, "UNAVAILABLE: queue full")
    assert math.isnan(standing.percentile_ms(99))
    assert math.isnan(standing.rounds[0].p99_ms)
    assert standing.cdf()["points"] == []


def test_a_long_distribution_keeps_its_last_point() -> None:
    loads = Loads()
    loads.asked = []
    many = contest(BOTH, (1,), seconds=500.0, rounds=500, tell=lambda text: None, measure=loads)[0].cdf()["points"]
    assert 100 <= len(many) <= 201
    assert many[-1][1] == 1
