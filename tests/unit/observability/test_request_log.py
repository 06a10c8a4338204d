import io
import json
import logging
from collections.abc import Iterator
from dataclasses import replace

import pytest
from npuserve.observability.logging import LogOptions, configure_logging
from npuserve.observability.request_log import RequestLog, SlowRequestLog, stages
from support.finished import FAILED, FINISHED, TIMING, UNDIVIDED


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def test_a_line_tells_the_request_its_batch_and_where_its_time_went() -> None:
    stream = io.StringIO()
    RequestLog(configure_logging(LogOptions(verbose=1), stream)).observe(FINISHED)
    assert stream.getvalue().partition("] ")[2] == (
        "request: request_id='r 1' model=m version=3 protocol=grpc status=OK total_us=400 batch_id=7 gear=2 "
        "batch_rows=3 queue_us=20 gather_us=30 h2d_us=40 execute_us=100 d2h_us=60 scatter_us=70\n"
    )


def test_a_json_line_has_the_same_as_members() -> None:
    stream = io.StringIO()
    RequestLog(configure_logging(LogOptions(verbose=1, format="json"), stream)).observe(FINISHED)
    line = json.loads(stream.getvalue())
    expected = {"request_id": "r 1", "model": "m", "batch_id": 7, "gear": 2, "batch_rows": 3, "execute_us": 100}
    assert {key: line[key] for key in expected} == expected
    assert line["level"] == "debug"


def test_a_failed_request_tells_its_error_and_cannot_forge_a_line() -> None:
    stream = io.StringIO()
    log = RequestLog(configure_logging(LogOptions(verbose=1), stream))
    log.observe(replace(FAILED, id="a\nI1231 forged"))
    assert stream.getvalue().count("\n") == 1
    assert "status=UNAVAILABLE total_us=400 error='too late'" in stream.getvalue()


def test_requests_are_logged_while_the_log_is_verbose() -> None:
    settings = configure_logging(LogOptions(), io.StringIO())
    changes: list[bool] = []
    log = RequestLog(settings)
    settings.watch(lambda: changes.append(log.wants_all))
    assert not log.wants_all
    settings.change(LogOptions(verbose=1))
    settings.change(LogOptions())
    assert changes == [True, False]
    assert log.slow_ns == 0


def test_slow_requests_are_warned_of() -> None:
    stream = io.StringIO()
    configure_logging(LogOptions(), stream)
    log = SlowRequestLog(0.25)
    assert (log.wants_all, log.slow_ns) == (False, 250_000)
    log.observe(FINISHED)
    assert stream.getvalue().startswith("W")
    assert "slow request: request_id='r 1'" in stream.getvalue()


def test_the_stages_follow_one_another_and_cover_the_execution() -> None:
    for timing, names in (
        (TIMING, ["queue", "gather", "h2d", "execute", "d2h", "scatter"]),
        (UNDIVIDED, ["queue", "gather", "execute", "scatter"]),
    ):
        found = stages(timing)
        assert [name for name, _, _ in found] == names
        assert [end for _, _, end in found[:-1]] == [start for _, start, _ in found[1:]]
        assert (found[0][1], found[-1][2]) == (timing.arrival_ns, timing.scattered_ns)
