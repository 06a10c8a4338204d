import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest
from npuserve.observability.trace_file import TraceRecorder, append_to_array, trace_events
from npuserve.observability.tracing import TraceSetting, TraceSettings
from support.finished import FAILED, FINISHED

ON = TraceSetting(levels=("TIMESTAMPS",), rate=1)


def instants(events: list[dict[str, object]]) -> dict[str, int]:
    return {
        stamp["name"]: stamp["ns"]
        for event in events
        for stamp in event.get("timestamps", ())  # type: ignore[attr-defined]  # read from JSON
    }


def test_a_trace_tells_the_request_and_its_instants_in_tritons_form() -> None:
    events = json.loads(json.dumps(trace_events(4, FINISHED)))
    assert events[0] == {"id": 4, "model_name": "m", "model_version": 3, "request_id": "r 1"}
    assert all(event["id"] == 4 for event in events)
    assert instants(events) == {
        "GRPC_WAITREAD_END": 1_000_000,
        "REQUEST_START": 1_000_000,
        "QUEUE_START": 1_010_000,
        "COMPUTE_START": 1_030_000,
        "COMPUTE_INPUT_END": 1_100_000,
        "COMPUTE_OUTPUT_START": 1_200_000,
        "COMPUTE_END": 1_330_000,
        "INFER_RESPONSE_COMPLETE": 1_400_000,
        "REQUEST_END": 1_400_000,
    }


def test_a_request_without_execution_or_id_has_less_to_tell() -> None:
    events = json.loads(json.dumps(trace_events(1, replace(FAILED, id="", front_end="http"))))
    assert events[0] == {"id": 1, "model_name": "m", "model_version": 3}
    assert list(instants(events)) == ["HTTP_RECV_END", "REQUEST_START", "INFER_RESPONSE_COMPLETE", "REQUEST_END"]


def test_sampled_requests_are_written_to_one_array(tmp_path: Path) -> None:
    file = tmp_path / "trace.json"
    recorder = TraceRecorder(TraceSettings(replace(ON, rate=2)), file)
    assert recorder.wants_all
    for _ in range(6):
        recorder.observe(FINISHED)
    recorder.close()
    recorder.close()
    assert {event["id"] for event in json.loads(file.read_text())} == {1, 2, 3}


def test_with_a_log_frequency_each_file_has_so_many_traces(tmp_path: Path) -> None:
    recorder = TraceRecorder(TraceSettings(replace(ON, log_frequency=2)), tmp_path / "t.json")
    for _ in range(5):
        recorder.observe(FINISHED)
    recorder.close()
    found = {path.name: {event["id"] for event in json.loads(path.read_text())} for path in tmp_path.iterdir()}
    assert found == {"t.json.0": {1, 2}, "t.json.1": {3, 4}, "t.json.2": {5}}


def test_without_a_level_no_file_is_made(tmp_path: Path) -> None:
    settings = TraceSettings(TraceSetting())
    recorder = TraceRecorder(settings, tmp_path / "t.json")
    assert not recorder.wants_all
    recorder.observe(FINISHED)
    recorder.close()
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_costs_its_traces_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    recorder = TraceRecorder(TraceSettings(ON), tmp_path / "missing" / "t.json")
    with caplog.at_level(logging.ERROR):
        recorder.observe(FINISHED)
        recorder.close()
    assert "failed to write a trace to" in caplog.text


def test_the_file_is_whole_after_each_addition(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    for count in range(1, 4):
        append_to_array(file, f"{count}")
        assert json.loads(file.read_text()) == list(range(1, count + 1))
