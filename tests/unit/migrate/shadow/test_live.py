"""The server's side: the process beside it starts, is heard, ends with a report, and its end is no silent one."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.shadow import Shadow, ShadowOptions
from npuserve.migrate.shadow.live import FAILED
from npuserve.migrate.shadow.options import Limits, options_of
from npuserve.observability.exposition import render

NOBODY = "127.0.0.1:9"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Shadow]]:
    started: list[Shadow] = []

    def begin(**options: Any) -> Shadow:
        shadow = Shadow(ShadowOptions(reference=NOBODY, report=tmp_path / "report", **options))
        shadow.start()
        started.append(shadow)
        return shadow

    yield begin
    for shadow in started:
        shadow.stop()


def told(shadow: Shadow) -> str:
    return render(shadow.families()).decode()


def wait_until(condition: Callable[[], object]) -> None:
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_shadow_that_saw_nothing_leaves_an_empty_report(start: Callable[..., Shadow], tmp_path: Path) -> None:
    shadow = start()
    assert "npu_shadow_up 0" in told(shadow)
    assert "npu_shadow_queued_total 0" in told(shadow)
    shadow.stop()
    assert shadow.exit_code == 0
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert (report["models"], report["reference"]) == ({}, NOBODY)
    assert "Nothing was compared" in (tmp_path / "report" / "report.md").read_text()
    assert "<html" in (tmp_path / "report" / "report.html").read_text()


def test_a_limit_is_not_kept_by_comparing_nothing(
    start: Callable[..., Shadow], caplog: pytest.LogCaptureFixture
) -> None:
    shadow = start(limits=Limits(fail_below_cosine=0.9))
    shadow.stop()
    assert shadow.exit_code == FAILED
    assert "nothing was compared, so nothing is proved" in caplog.text


def test_that_the_process_is_gone_is_said(start: Callable[..., Shadow], caplog: pytest.LogCaptureFixture) -> None:
    shadow = start()
    assert shadow._process is not None
    shadow._process.kill()
    wait_until(lambda: "has ended before its time" in caplog.text)
    assert "npu_shadow_up 0" in told(shadow)
    shadow.stop()
    assert shadow.exit_code == FAILED


def test_a_report_that_has_no_place_is_refused_at_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MigrationError, match="--report: cannot make"):
        Shadow(ShadowOptions(reference=NOBODY, report=tmp_path / "file" / "report")).start()


def test_options_reach_the_process_as_they_are(tmp_path: Path) -> None:
    options = ShadowOptions(
        reference=NOBODY,
        share=0.25,
        models=frozenset({"a", "b"}),
        report=tmp_path,
        fields=(("key", "value"),),
        limits=Limits(fail_above_disagreed=0.01),
    )
    assert options_of(json.loads(json.dumps(options.as_json()))) == options


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"reference": "localhost"}, "--reference must be HOST:PORT"),
        ({"share": 0.0}, "--share must be above 0"),
        ({"share": 1.5}, "at most 1, got 1.5"),
        ({"max_in_flight": 0}, "--max-in-flight must be 1 or more"),
        ({"timeout_secs": 0.0}, "--reference-timeout-secs must be above 0"),
        ({"keep_cases": -1}, "--keep-cases must be 0 or more"),
        ({"priority": "high"}, "--priority must be one of idle, low, normal"),
        ({"limits": Limits(min_cosine=2.0)}, "--min-cosine must be in range"),
        ({"limits": Limits(fail_above_disagreed=1.5)}, "--fail-above-disagreed must be in range"),
    ],
)
def test_wrong_options_name_their_flag(wrong: dict[str, Any], complaint: str) -> None:
    with pytest.raises(MigrationError, match=complaint):
        ShadowOptions(**{"reference": NOBODY, **wrong})
