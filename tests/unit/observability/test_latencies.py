import math
from dataclasses import replace

from npuserve.observability.latencies import WINDOW, LatencyRecorder
from support.finished import FAILED, FINISHED, UNDIVIDED


def test_without_a_purpose_nothing_is_asked_for() -> None:
    recorder = LatencyRecorder(summaries=False, histograms=False)
    assert not recorder.wants_all
    assert recorder.summaries("m", "3") is None
    assert recorder.first_responses("m", "3") is None


def test_summaries_tell_each_stage_in_microseconds() -> None:
    recorder = LatencyRecorder(summaries=True, histograms=False)
    recorder.observe(FINISHED)
    recorder.observe(FAILED)
    found = recorder.summaries("m", "3")
    assert found is not None
    assert {stage: summary.total_us for stage, summary in found.items()} == {
        "request": 400, "queue": 20, "compute_input": 70, "compute_infer": 100, "compute_output": 130
    }  # fmt: skip
    assert {summary.count for summary in found.values()} == {1}


def test_stages_that_the_device_does_not_tell_apart_are_the_models_own() -> None:
    recorder = LatencyRecorder(summaries=True, histograms=False)
    recorder.observe(replace(FINISHED, timing=UNDIVIDED))
    found = recorder.summaries("m", "3")
    assert found is not None
    assert [found[stage].total_us for stage in ("compute_input", "compute_infer", "compute_output")] == [30, 200, 70]


def test_quantiles_are_of_the_last_requests() -> None:
    recorder = LatencyRecorder(summaries=True, histograms=False)
    for us in range(WINDOW + 100, 0, -1):
        recorder.observe(replace(FINISHED, ended_ns=FINISHED.started_ns + us * 1000))
    found = recorder.summaries("m", "3")
    assert found is not None
    summary = found["request"]
    assert summary.count == WINDOW + 100
    assert [summary.quantile(share) for share in (0.0, 0.5, 1.0)] == [1, WINDOW // 2, WINDOW]


def test_a_quantile_of_nothing_is_no_number() -> None:
    found = LatencyRecorder(summaries=True, histograms=False).summaries("m", "3")
    assert found is not None
    assert math.isnan(found["queue"].quantile(0.5))


def test_first_responses_are_counted_in_buckets() -> None:
    recorder = LatencyRecorder(summaries=False, histograms=True)
    for ms in (1, 100, 101, 9000):
        recorder.observe(replace(FINISHED, ended_ns=FINISHED.started_ns + ms * 1_000_000))
    found = recorder.first_responses("m", "3")
    assert found is not None
    assert (found.bounds_ms, found.counts, found.total_ms) == ((100, 500, 2000, 5000), (2, 1, 0, 0, 1), 9202)


def test_a_model_may_have_buckets_of_its_own() -> None:
    recorder = LatencyRecorder(summaries=False, histograms=True)
    recorder.set_buckets("m", "3", (0.1, 1.0))
    recorder.observe(FINISHED)
    recorder.set_buckets("m", "3", (0.1, 1.0))
    found = recorder.first_responses("m", "3")
    assert found is not None
    assert (found.bounds_ms, found.counts) == ((0.1, 1.0), (0, 1, 0))


def test_models_that_are_gone_are_forgotten() -> None:
    recorder = LatencyRecorder(summaries=True, histograms=True)
    recorder.observe(FINISHED)
    recorder.forget(set())
    found = recorder.summaries("m", "3")
    assert found is not None
    assert found["request"].count == 0
