"""The metrics endpoint over a real registry."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from npuserve.config.metrics_options import MetricsOptions
from npuserve.observability.exposition import Family, Sample
from npuserve.observability.fan_out import RequestFanOut
from npuserve.observability.latencies import LatencyRecorder
from npuserve.observability.machine import DeviceSample
from npuserve.repository.registry import ModelRegistry
from npuserve.service.metrics import MachineSampler, MetricsService, MetricsSources
from npuserve.service.rest.exchange import HttpRequest
from support.prometheus import Metric, parse_metrics
from support.rest import Answer, Rest, add_copy_model, gathered, loaded_registry, tensor_config

LABELS = {"model": "m", "version": "1", "_team": "x"}
FIRST = "nv_inference_first_response_histogram_ms"
BUCKETS = f"""
model_metrics {{ metric_control {{
  metric_identifier {{ family: "{FIRST}" }} histogram_options {{ buckets: [ 60000, 1 ] }}
}} }}
"""


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[ModelRegistry]:
    tensors = tensor_config("input", "IN", "FP32", -1) + tensor_config("output", "OUT", "FP32", -1)
    add_copy_model(tmp_path, "m", f'max_batch_size: 4\nmetric_tags {{ key: "team" value: "x" }}\n{tensors}{BUCKETS}')
    async with loaded_registry(tmp_path) as registry:
        yield registry


def no_latencies() -> LatencyRecorder:
    return LatencyRecorder(summaries=False, histograms=False)


async def call(service: MetricsService, method: str = "GET", path: str = "/metrics") -> Answer:
    return await gathered(await service(HttpRequest(method=method, path=path, headers={}, body=b"")))


async def told(service: MetricsService) -> dict[str, Metric]:
    answer = await call(service)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    return parse_metrics(answer.body.decode())


async def test_a_model_is_told_of_as_soon_as_it_is_loaded_and_no_longer_once_it_is_closed(
    registry: ModelRegistry,
) -> None:
    service = MetricsService(registry, MetricsOptions(), MetricsSources(latencies=no_latencies()))
    name = "nv_inference_request_success"
    assert (await told(service))[name].value(name, **LABELS) == 0
    await Rest(registry).infer("m", {"inputs": [{"name": "IN", "shape": [1, 1], "datatype": "FP32", "data": [1]}]})
    assert (await told(service))[name].value(name, **LABELS) == 1
    await registry.close()
    assert name not in await told(service)


async def test_other_paths_are_empty_and_other_methods_refused(registry: ModelRegistry) -> None:
    service = MetricsService(registry, MetricsOptions(), MetricsSources(latencies=no_latencies()))
    other = await call(service, path="/foo")
    assert (other.status, other.body, other.headers["content-type"]) == (200, b"", "text/plain; charset=utf-8")
    assert (await call(service, path="/metrics?x=1")).body
    refused = await call(service, method="POST")
    assert (refused.status, refused.error) == (405, "Method Not Allowed")


async def test_first_responses_are_counted_in_the_configs_buckets(registry: ModelRegistry, tmp_path: Path) -> None:
    latencies = LatencyRecorder(summaries=True, histograms=True)
    service = MetricsService(registry, MetricsOptions(quantiles=((0.9, 0.01),)), MetricsSources(latencies=latencies))
    rest = Rest(registry, observer=RequestFanOut([latencies]))
    await rest.infer("m", {"inputs": [{"name": "IN", "shape": [1, 1], "datatype": "FP32", "data": [1]}]})
    metrics = await told(service)
    assert metrics[FIRST].value(f"{FIRST}_bucket", le="60000", **LABELS) == 1
    assert metrics[FIRST].value(f"{FIRST}_count", **LABELS) == 1
    name = "nv_inference_request_summary_us"
    assert metrics[name].value(f"{name}_count", **LABELS) == 1
    assert metrics[name].value(name, quantile="0.9", **LABELS) >= 0


async def test_a_model_tells_how_near_it_came_to_its_golden_answers(tmp_path: Path) -> None:
    tensors = tensor_config("input", "IN", "FP32", -1) + tensor_config("output", "OUT", "FP32", -1)
    add_copy_model(tmp_path, "m", f"max_batch_size: 4\n{tensors}")
    (version,) = (path for path in (tmp_path / "m").iterdir() if path.is_dir())
    given = np.array([[3, 4]], np.float32)
    arrays: dict[str, Any] = {"0/input:IN": given, "0/output:OUT": given + np.float32(0.01)}
    np.savez(version / "golden.npz", **arrays)
    async with loaded_registry(tmp_path) as registry:
        metrics = await told(MetricsService(registry, MetricsOptions(), MetricsSources(latencies=no_latencies())))
    labels = {"model": "m", "version": version.name}
    error = metrics["npu_golden_max_abs_error"].value("npu_golden_max_abs_error", **labels)
    assert error == pytest.approx(0.01, rel=1e-4)
    assert 0.9999 < metrics["npu_golden_cosine"].value("npu_golden_cosine", **labels) < 1


async def test_custom_families_are_told_too(registry: ModelRegistry) -> None:
    custom = Family(name="mine-own", kind="counter", help="h", samples=[Sample({"a k": "v"}, 2)])
    sources = MetricsSources(latencies=no_latencies(), custom=lambda: [custom])
    assert (await told(MetricsService(registry, MetricsOptions(), sources)))["mine_own"].value("mine_own", a_k="v") == 2


async def test_a_failure_to_collect_is_500_and_for_the_log_alone(
    registry: ModelRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> Sequence[Family]:
        raise RuntimeError("inner")

    sources = MetricsSources(latencies=no_latencies(), custom=fail)
    answer = await call(MetricsService(registry, MetricsOptions(), sources))
    assert (answer.status, answer.error) == (500, "unexpected error")
    assert "inner" in caplog.text


async def test_the_machine_is_sampled_while_the_service_runs(registry: ModelRegistry) -> None:
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def devices() -> Sequence[DeviceSample]:
        loop.call_soon_threadsafe(asked.set)
        return [DeviceSample(device=0, memory_total_bytes=64)]

    sources = MetricsSources(latencies=no_latencies(), devices=devices)
    service = MetricsService(registry, MetricsOptions(interval_ms=1), sources)
    assert "nv_cpu_utilization" not in await told(service)
    service.start()
    for _ in range(2):
        async with asyncio.timeout(20):
            await asked.wait()
        asked.clear()
    metrics = await told(service)
    assert metrics["npu_memory_total_bytes"].value("npu_memory_total_bytes", npu_id="0") == 64
    assert "nv_cpu_utilization" in metrics
    await service.close()
    await service.close()


async def test_a_device_that_cannot_be_asked_is_left_out() -> None:
    def fail() -> Sequence[DeviceSample]:
        raise RuntimeError("gone")

    sampler = MachineSampler(MetricsOptions(), fail)
    await sampler.sample()
    assert sampler.devices == ()
    assert sampler.host is not None


async def test_what_is_not_wanted_is_not_asked() -> None:
    def fail() -> Sequence[DeviceSample]:
        raise AssertionError

    sampler = MachineSampler(MetricsOptions(devices=False, host=False), fail)
    await sampler.sample()
    assert (sampler.host, sampler.devices) == (None, ())
