from dataclasses import replace
from pathlib import Path

import pytest
from npuserve.observability.exposition import render
from npuserve.observability.latencies import LatencyRecorder
from npuserve.observability.machine import (
    DeviceSample,
    HostReader,
    device_families,
    host_families,
    pinned_families,
    process_families,
)
from npuserve.observability.metrics import model_families
from npuserve.observability.snapshot import ModelSnapshot
from npuserve.observability.statistics import BatchStatistics, Duration, Failures, ModelStatistics
from support.finished import FINISHED
from support.prometheus import Metric, parse_metrics

US = 1000
STATISTICS = ModelStatistics(
    inference_count=20,
    execution_count=6,
    success=Duration(9, 900 * US),
    fail=Duration(4, 40 * US),
    queue=Duration(9, 90 * US + 999),
    compute_input=Duration(7, 70 * US),
    compute_infer=Duration(7, 700 * US),
    compute_output=Duration(7, 71 * US),
    batches=(
        BatchStatistics(3, Duration(4, 1), Duration(4, 1), Duration(4, 1)),
        BatchStatistics(4, Duration(2, 1), Duration(2, 1), Duration(2, 1)),
    ),
    cache_hit=Duration(2, 20 * US),
    cache_miss=Duration(5, 50 * US),
    failures=Failures(rejected=1, cancelled=2, backend=3, other=4),
    pending=5,
    padded_rows=4,
)
MODEL = ModelSnapshot(
    model="m", version="3", statistics=STATISTICS, tags={"team": "x"}, load_seconds=1.5, gear_rows=(1, 4, 8)
)
LABELS = {"model": "m", "version": "3", "_team": "x"}


def told(*models: ModelSnapshot, durations: bool = True) -> dict[str, Metric]:
    return parse_metrics(render(model_families(models, durations=durations, quantiles=(0.5, 0.99))).decode())


@pytest.mark.parametrize(
    ("name", "kind", "value"),
    [
        ("nv_inference_request_success", "counter", 9),
        ("nv_inference_count", "counter", 20),
        ("nv_inference_exec_count", "counter", 6),
        ("nv_inference_request_duration_us", "counter", 900),
        ("nv_inference_queue_duration_us", "counter", 90),
        ("nv_inference_compute_input_duration_us", "counter", 70),
        ("nv_inference_compute_infer_duration_us", "counter", 700),
        ("nv_inference_compute_output_duration_us", "counter", 71),
        ("nv_inference_pending_request_count", "gauge", 5),
        ("nv_model_load_duration_secs", "gauge", 1.5),
        ("npu_padded_rows", "counter", 4),
        ("npu_slot_occupancy_ratio", "gauge", 20 / 24),
    ],
)
def test_a_models_counters_have_tritons_names_kinds_and_units(name: str, kind: str, value: float) -> None:
    metric = told(MODEL)[name]
    assert metric.kind == kind
    assert metric.value(name, **LABELS) == value


def test_all_reasons_of_failures_are_always_there() -> None:
    name = "nv_inference_request_failure"
    metric = told(MODEL)[name]
    reasons = {"REJECTED": 1, "CANCELED": 2, "BACKEND": 3, "OTHER": 4}
    assert {reason: metric.value(name, reason=reason, **LABELS) for reason in reasons} == reasons
    fresh = told(ModelSnapshot(model="n", version="1", statistics=ModelStatistics()))[name]
    assert list(fresh.samples.values()) == [0, 0, 0, 0]


def test_only_models_with_the_cache_tell_of_it() -> None:
    assert not any(name.startswith("nv_cache") for name in told(MODEL))
    metrics = told(MODEL, replace(MODEL, model="c", has_cache=True))
    found = {
        name: metrics[f"nv_cache_{name}_per_model"].value(f"nv_cache_{name}_per_model", **LABELS | {"model": "c"})
        for name in ("num_hits", "num_misses", "hit_duration", "miss_duration")
    }
    assert found == {"num_hits": 2, "num_misses": 5, "hit_duration": 20, "miss_duration": 50}
    assert len(metrics["nv_cache_num_hits_per_model"].samples) == 1


def test_durations_may_be_left_out() -> None:
    assert not any("_duration_us" in name for name in told(MODEL, durations=False))


def test_batch_sizes_and_padding_are_histograms() -> None:
    metrics = told(MODEL)
    sizes, waste = metrics["npu_batch_size"], metrics["npu_padding_waste_ratio"]
    assert [sizes.value("npu_batch_size_bucket", le=bound, **LABELS) for bound in ("2", "4", "+Inf")] == [0, 6, 6]
    assert sizes.value("npu_batch_size_sum", **LABELS) == 20
    # Three rows run in the gear of four, four fill it.
    name = "npu_padding_waste_ratio_bucket"
    assert [waste.value(name, le=bound, **LABELS) for bound in ("0", "0.125", "0.25", "+Inf")] == [2, 2, 6, 6]
    assert waste.value("npu_padding_waste_ratio_sum", **LABELS) == 1


def test_a_model_without_gears_tells_of_no_padding() -> None:
    assert "npu_padding_waste_ratio" not in told(replace(MODEL, gear_rows=()))


def test_summaries_and_first_responses_are_told_where_they_are_kept() -> None:
    recorder = LatencyRecorder(summaries=True, histograms=True)
    recorder.observe(FINISHED)
    kept = replace(MODEL, summaries=recorder.summaries("m", "3"), first_responses=recorder.first_responses("m", "3"))
    metrics = told(kept)
    name = "nv_inference_request_summary_us"
    assert metrics[name].kind == "summary"
    assert metrics[name].value(name, quantile="0.5", **LABELS) == 400
    assert metrics[name].value(f"{name}_count", **LABELS) == 1
    first = "nv_inference_first_response_histogram_ms"
    assert metrics[first].value(f"{first}_bucket", le="100", **LABELS) == 1
    assert not any("summary" in other or other == first for other in told(MODEL))
    assert name not in told(replace(kept, has_cache=True))


def test_devices_are_told_under_our_names_and_tritons_as_far_as_the_driver_tells() -> None:
    devices = [
        DeviceSample(device=0, memory_total_bytes=64, memory_used_bytes=16, is_healthy=True),
        DeviceSample(device=1, memory_total_bytes=64, temperature_celsius=41.5),
    ]
    metrics = parse_metrics(render(device_families(devices)).decode())
    assert set(metrics) == {
        "npu_memory_total_bytes", "nv_gpu_memory_total_bytes", "npu_memory_used_bytes", "nv_gpu_memory_used_bytes",
        "npu_temperature_celsius", "npu_health",
    }  # fmt: skip
    assert metrics["npu_memory_total_bytes"].value("npu_memory_total_bytes", npu_id="1") == 64
    assert metrics["nv_gpu_memory_used_bytes"].value("nv_gpu_memory_used_bytes", gpu_uuid="npu-0") == 16
    assert metrics["npu_health"].value("npu_health", npu_id="0") == 1


def test_the_host_is_read_from_the_kernels_counters(tmp_path: Path) -> None:
    def tick(user: int, idle: int) -> None:
        (tmp_path / "stat").write_text(f"cpu  {user} 0 0 {idle} 0 0 0 0 0 0\ncpu0 1 2 3\n")

    (tmp_path / "meminfo").write_text("MemTotal: 100 kB\nMemFree: 1 kB\nMemAvailable: 25 kB\nHugePages_Total: 0\n")
    tick(100, 100)
    reader = HostReader(tmp_path)
    assert reader.read().cpu_utilization == 0
    tick(125, 175)
    host = reader.read()
    assert (host.cpu_utilization, host.memory_total_bytes, host.memory_used_bytes) == (0.25, 102_400, 76_800)
    metrics = parse_metrics(render(host_families(host)).decode())
    assert metrics["nv_cpu_utilization"].value("nv_cpu_utilization") == 0.25
    assert host_families(None) == []


def test_this_machine_and_process_can_be_read() -> None:
    host = HostReader().read()
    assert 0 < host.memory_used_bytes < host.memory_total_bytes
    metrics = parse_metrics(render([*process_families(), *pinned_families(total_bytes=2, used_bytes=1)]).decode())
    assert metrics["process_resident_memory_bytes"].value("process_resident_memory_bytes") > 1 << 20
    assert metrics["process_open_fds"].value("process_open_fds") >= 3
    assert metrics["nv_pinned_memory_pool_used_bytes"].value("nv_pinned_memory_pool_used_bytes") == 1
