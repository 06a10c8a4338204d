"""The metrics, request log and traces of a running server."""

import http.client
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from support.prometheus import Metric, parse_metrics
from support.served_models import add_identity_model, add_model, copy_config
from support.server import Server, serving

TRACE = "--trace-config=triton,file="


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("observed")
    add_model(folder, "pair")
    add_identity_model(folder, "copy", copy_config("FP32", 3, rest='metric_tags { key: "team" value: "x" }'))
    return folder


@pytest.fixture(scope="module")
def observed(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    trace = tmp_path_factory.mktemp("trace") / "trace.json"
    flags = (
        f"{TRACE}{trace}", "--trace-config=level=TIMESTAMPS", "--trace-config=rate=1",
        "--metrics-config=summary_latencies=true", "--metrics-config=histogram_latencies=true",
        "--log-verbose=1", "--log-format=json",
    )  # fmt: skip
    with serving(folder, *flags) as server:
        yield server, trace


def scrape(server: Server) -> dict[str, Metric]:
    connection = http.client.HTTPConnection(server.metrics_url, timeout=60)
    try:
        connection.request("GET", "/metrics")
        response = connection.getresponse()
        assert (response.status, response.getheader("content-type")) == (200, "text/plain; charset=utf-8")
        return parse_metrics(response.read().decode())
    finally:
        connection.close()


def infer(client: Any, module: Any, rows: int, request_id: str) -> None:
    tensors = [module.InferInput(f"INPUT{place}", [rows, 16], "INT32") for place in range(2)]
    for tensor in tensors:
        tensor.set_data_from_numpy(np.ones((rows, 16), np.int32))
    client.infer("pair", tensors, request_id=request_id)


def test_what_was_answered_over_both_protocols_is_counted_once(observed: tuple[Server, Path]) -> None:
    server, _ = observed
    labels = {"model": "pair", "version": "1"}
    counted = (
        ("nv_inference_request_success", ""),
        ("nv_inference_count", ""),
        ("npu_batch_size", "_sum"),
        ("nv_inference_request_summary_us", "_count"),
        ("nv_inference_first_response_histogram_ms", "_count"),
    )

    def counts() -> list[float]:
        metrics = scrape(server)
        return [metrics[family].value(family + suffix, **labels) for family, suffix in counted]

    before = counts()
    with triton_grpc.InferenceServerClient(server.url) as client:
        infer(client, triton_grpc, 3, "over-grpc")
    with triton_http.InferenceServerClient(server.http_url) as client:
        infer(client, triton_http, 2, "over-http")
    assert [now - then for now, then in zip(counts(), before, strict=True)] == [2, 5, 5, 2, 2]
    for request_id in ("over-grpc", "over-http"):
        server.wait_for_line(f'"request_id": "{request_id}"')
        line = json.loads(next(line for line in server.lines if f'"request_id": "{request_id}"' in line))
        assert (line["model"], line["protocol"], line["status"]) == ("pair", request_id[5:], "OK")
        assert {"batch_id", "gear", "batch_rows", "queue_us", "gather_us", "execute_us", "scatter_us"} <= line.keys()


def test_every_family_of_triton_is_there(observed: tuple[Server, Path]) -> None:
    metrics = scrape(observed[0])
    kinds = {
        "nv_inference_request_success": "counter", "nv_inference_request_failure": "counter",
        "nv_inference_count": "counter", "nv_inference_exec_count": "counter",
        "nv_inference_request_duration_us": "counter", "nv_inference_queue_duration_us": "counter",
        "nv_inference_compute_input_duration_us": "counter", "nv_inference_compute_infer_duration_us": "counter",
        "nv_inference_compute_output_duration_us": "counter", "nv_inference_pending_request_count": "gauge",
        "nv_model_load_duration_secs": "gauge", "nv_inference_first_response_histogram_ms": "histogram",
        "nv_inference_request_summary_us": "summary", "nv_inference_queue_summary_us": "summary",
        "nv_cpu_utilization": "gauge", "nv_cpu_memory_total_bytes": "gauge", "nv_cpu_memory_used_bytes": "gauge",
        "nv_pinned_memory_pool_total_bytes": "gauge", "nv_pinned_memory_pool_used_bytes": "gauge",
        "npu_batch_size": "histogram", "npu_padding_waste_ratio": "histogram",
    }  # fmt: skip
    assert {name: metrics[name].kind for name in kinds} == kinds
    assert metrics["nv_inference_count"].value("nv_inference_count", model="copy", version="1", _team="x") == 0


def test_other_paths_and_methods_are_answered_as_tritons(observed: tuple[Server, Path]) -> None:
    connection = http.client.HTTPConnection(observed[0].metrics_url, timeout=60)
    for method, path, expected in (
        ("GET", "/foo", (200, b"")),
        ("POST", "/metrics", (405, b'{"error":"Method Not Allowed"}')),
    ):
        connection.request(method, path)
        response = connection.getresponse()
        assert (response.status, response.read()) == expected
    connection.close()


def test_traces_and_their_settings_follow_the_requests(folder: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace.json"
    with serving(folder, f"{TRACE}{trace}") as server:
        with triton_http.InferenceServerClient(server.http_url) as client:
            infer(client, triton_http, 1, "before")
            client.update_trace_settings("pair", {"trace_level": ["TIMESTAMPS"], "trace_rate": "2"})
            for number in range(4):
                infer(client, triton_http, 1, f"r{number}")
            client.update_trace_settings("pair", {"trace_level": ["OFF"]})
            infer(client, triton_http, 1, "after")
        server.signal()
        assert server.wait() == 0
    events = json.loads(trace.read_text())
    assert [event["request_id"] for event in events if "model_name" in event] == ["r1", "r3"]
    names = [stamp["name"] for event in events if event["id"] == 1 for stamp in event.get("timestamps", ())]
    assert {"REQUEST_START", "QUEUE_START", "COMPUTE_START", "COMPUTE_END", "REQUEST_END"} <= set(names)


def test_slow_requests_are_warned_of_without_a_verbose_log(tmp_path: Path) -> None:
    delay = 'parameters { key: "execute_delay_ms" value { string_value: "30" } }'
    add_identity_model(tmp_path, "slow", copy_config("FP32", 3, rest=delay))
    with serving(tmp_path, "--log-slow-requests-ms=20", "--log-format=json") as server:
        with triton_grpc.InferenceServerClient(server.url) as client:
            tensor = triton_grpc.InferInput("x", [3], "FP32")
            tensor.set_data_from_numpy(np.ones(3, np.float32))
            client.infer("slow", [tensor], request_id="late")
        server.wait_for_line('"request_id": "late"')
        line = json.loads(next(line for line in server.lines if '"late"' in line))
        assert line["level"] == "warning"
        assert line["total_us"] >= 20_000


NPU_SMI = """\
+---------------------------+---------------+----------------------------------------------------+
| NPU   Name                | Health        | Power(W)    Temp(C)           Hugepages-Usage(page)|
| Chip                      | Bus-Id        | AICore(%)   Memory-Usage(MB)  HBM-Usage(MB)        |
+===========================+===============+====================================================+
| 0     910B3               | OK            | 91.7        38                0    / 0             |
| 0                         | 0000:C1:00.0  | 25          0    / 0          3339 / 65536         |
+===========================+===============+====================================================+
"""


def device_metrics(server: Server) -> dict[str, Metric]:
    """Scrape until the sampler has asked a device that is in use."""
    until = time.monotonic() + 60
    while "npu_memory_total_bytes" not in (metrics := scrape(server)):
        assert time.monotonic() < until, "the devices' memory is not told"
    return metrics


def with_npu_smi(folder: Path, script: str) -> str:
    """Return a PATH on which npu-smi is the shell script."""
    program = folder / "npu-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def test_devices_are_told_of_under_our_names_and_under_those_of_tritons_dashboards(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "table").write_text(NPU_SMI)
    changes = {
        "PATH": with_npu_smi(tmp_path, f"cat {tmp_path}/table"),
        "NPUSERVE_EMULATOR_MEMORY_BYTES": str(1 << 30),
    }
    with serving(folder, "--metrics-interval-ms=20", **changes) as server:
        metrics = device_metrics(server)

        def told(name: str) -> float:
            value = metrics[f"npu_{name}"].value(f"npu_{name}", npu_id="0")
            if twin := metrics.get(f"nv_gpu_{name}"):
                assert (twin.kind, twin.value(f"nv_gpu_{name}", gpu_uuid="npu-0")) == ("gauge", value)
            return value

        assert told("memory_total_bytes") == 1 << 30  # the driver's word, not the table's
        assert 0 < told("memory_used_bytes") < 1 << 30
        assert [told(name) for name in ("utilization", "power_usage", "temperature_celsius", "health")] == [
            0.25, 91.7, 38, 1,
        ]  # fmt: skip
        assert {
            f"nv_gpu_{name}" for name in ("utilization", "memory_total_bytes", "memory_used_bytes", "power_usage")
        } <= set(metrics)


def test_a_npu_smi_that_hangs_holds_neither_the_server_nor_its_end(folder: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "started")
    path = with_npu_smi(tmp_path, f"echo started > {tmp_path}/started; sleep 1000 & sleep 1000")
    with serving(folder, "--metrics-interval-ms=20", PATH=path) as server:
        assert (tmp_path / "started").read_text() == "started\n"
        with triton_grpc.InferenceServerClient(server.url) as client:
            infer(client, triton_grpc, 1, "beside")
        assert "nv_inference_count" in scrape(server)
        server.signal()
        assert server.wait() == 0


def test_no_device_is_told_of_unless_wanted(folder: Path) -> None:
    with serving(folder, "--allow-gpu-metrics=false", "--metrics-interval-ms=20") as server:
        for _ in range(20):
            assert not [name for name in scrape(server) if name.startswith(("npu_memory", "nv_gpu"))]
