"""`npuserve shadow` beside a second server: what agrees, what does not, and references that are no help."""

import json
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tritonclient.grpc
import tritonclient.http
from onnx import TensorProto, helper, numpy_helper
from support.models import graph_input, onnx_model
from support.prometheus import parse_metrics
from support.server import Server, command, environment, serving

WEIGHTS = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.25, 0]], np.float32)
SCORES = """
backend: "onnxruntime" max_batch_size: 4
input { name: "x" data_type: TYPE_FP32 dims: [ 4 ] }
output { name: "scores" data_type: TYPE_FP32 dims: [ 3 ] }
"""
COPY = """
backend: "identity" max_batch_size: 4
input { name: "x" data_type: TYPE_FP32 dims: [ 4 ] }
output { name: "y" data_type: TYPE_FP32 dims: [ 4 ] }
"""
LARGE = 50_000
UPPER = """
backend: "python" max_batch_size: 4
input { name: "text" data_type: TYPE_STRING dims: [ 1 ] }
output { name: "upper" data_type: TYPE_STRING dims: [ 1 ] }
instance_group { count: 1 kind: KIND_CPU }
"""
UPPER_MODEL = """
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        texts = [pb_utils.get_input_tensor_by_name(request, "text").as_numpy() for request in requests]
        raised = [np.array([element.upper() for element in text.ravel()], object).reshape(text.shape) for text in texts]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("upper", each)]) for each in raised]
"""


def add_scores(folder: Path, weights: "np.ndarray[Any, Any]") -> None:
    """Add a classifier: scores = x · weights, [batch, 4] to [batch, 3]."""
    model = onnx_model(
        [
            helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(weights)),
            helper.make_node("MatMul", ["x", "w"], ["scores"]),
        ],
        [graph_input("x", TensorProto.FLOAT, ["n", 4])],
        [graph_input("scores", TensorProto.FLOAT, ["n", 3])],
    )
    (folder / "scores" / "1").mkdir(parents=True)
    (folder / "scores" / "config.pbtxt").write_text(SCORES)
    onnx.save(model, str(folder / "scores" / "1" / "model.onnx"))


def add_config(folder: Path, name: str, config: str) -> Path:
    (folder / name / "1").mkdir(parents=True)
    (folder / name / "config.pbtxt").write_text(config)
    return folder / name


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("live")
    add_scores(folder, WEIGHTS)
    add_config(folder, "copy", COPY)
    (add_config(folder, "upper", UPPER) / "1" / "model.py").write_text(UPPER_MODEL)
    return folder


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Identity models alone, which are up at once."""
    folder = tmp_path_factory.mktemp("copies")
    add_config(folder, "copy", COPY)
    add_config(folder, "large", COPY.replace("[ 4 ]", f"[ {LARGE} ]"))
    return folder


@pytest.fixture(scope="module")
def mislabelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same classifier, as somebody exported it with the labels in another order."""
    folder = tmp_path_factory.mktemp("mislabelled")
    add_scores(folder, WEIGHTS[:, [1, 0, 2]])
    return folder


class Shadowed:
    """A server with a shadow, and what it says."""

    def __init__(self, server: Server, report: Path) -> None:
        self.server = server
        self.report = report
        self.client = tritonclient.grpc.InferenceServerClient(server.url)

    def infer(self, model: str, name: str, value: "np.ndarray[Any, Any]", dtype: str = "FP32", **options: Any) -> Any:
        given = tritonclient.grpc.InferInput(name, value.shape, dtype)
        given.set_data_from_numpy(value)
        return self.client.infer(model, [given], **options)

    def metric(self, name: str, **labels: str) -> float:
        text = urllib.request.urlopen(f"http://{self.server.metrics_url}/metrics", timeout=10).read().decode()
        samples = parse_metrics(text).get(f"npu_shadow_{name}")
        key = (f"npu_shadow_{name}", tuple(sorted(labels.items())))
        return 0.0 if samples is None else samples.samples.get(key, 0.0)

    def until(self, condition: Callable[[], object]) -> None:
        until = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < until, "".join(self.server.lines)
            time.sleep(0.1)

    def stop(self) -> dict[str, Any]:
        """Stop the server; return the report."""
        self.server.signal()
        self.code = self.server.wait()
        report: dict[str, Any] = json.loads((self.report / "report.json").read_text())
        return report


@contextmanager
def shadowed(repository: Path, reference: str, report: Path, *flags: str) -> Iterator[Shadowed]:
    # Tests wait for the shadow, on machines that are busy.
    verb: Sequence[str | Path] = (
        "shadow",
        f"--reference={reference}",
        "--share=1",
        f"--report={report}",
        "--priority=normal",
        *flags,
        "--",
    )
    with serving(repository, verb=verb) as server:
        yield Shadowed(server, report)


def rows(count: int) -> "np.ndarray[Any, Any]":
    return np.random.default_rng(7).normal(size=(count, 1, 4)).astype(np.float32)


def test_equal_servers_agree_on_every_request_however_it_is_answered(repository: Path, tmp_path: Path) -> None:
    with serving(repository) as reference, shadowed(repository, reference.url, tmp_path) as live:
        for row in rows(20):
            live.infer("scores", "x", row)
        for row in rows(5):
            live.infer("scores", "x", row, outputs=[tritonclient.grpc.InferRequestedOutput("scores", class_count=2)])
            live.infer("upper", "text", np.array([[b"shadow"]], object), "BYTES")
            live.infer("copy", "x", row, compression_algorithm="gzip")
        with pytest.raises(tritonclient.grpc.InferenceServerException):
            live.infer("scores", "x", rows(1)[0, :, :3])
        live.until(lambda: live.metric("compared_total", model="scores") == 26)
        live.until(lambda: live.metric("compared_total", model="upper") == 5)
        live.until(lambda: live.metric("compared_total", model="copy") == 5)
        assert live.metric("up") == 1
        assert live.metric("queued_total") == live.metric("seen_total") == 36
        assert live.metric("cosine_min", model="scores") == pytest.approx(1)
        assert live.metric("argmax_agreed_rows_total", model="scores", output="scores") == 20
        found = live.stop()
    assert live.code == 0
    nothing: dict[str, Any] = {"copy": {}, "scores": {}, "upper": {}}
    assert {name: model["disagreed"] for name, model in found["models"].items()} == nothing
    assert {name: model["failed"] for name, model in found["models"].items()} == nothing
    assert "All 36 compared answers agree" in (tmp_path / "report.md").read_text()
    assert "Started GRPCInferenceService" in "".join(live.server.lines)


def test_labels_in_another_order_are_found_kept_and_can_be_repeated(
    repository: Path, mislabelled: Path, tmp_path: Path
) -> None:
    flags = ("--models=scores", "--fail-above-disagreed=0.01", "--keep-cases=3")
    given = rows(10)
    with serving(mislabelled) as reference, shadowed(repository, reference.url, tmp_path, *flags) as live:
        for row in given:
            live.infer("scores", "x", row)
            live.infer("copy", "x", row)
        found = live.stop()
        assert live.code == 3
        assert "answers disagree, more than 1.00%" in "".join(live.server.lines)
        assert list(found["models"]) == ["scores"]
        scores = found["models"]["scores"]
        assert scores["compared"] == 10
        assert sum(scores["disagreed"].values()) >= 9
        assert len(found["cases"]) == 3
        worst = found["cases"][0]
        cosines = [cosine(row @ WEIGHTS, row @ WEIGHTS[:, [1, 0, 2]]) for row in given]
        assert worst["cosine"] == pytest.approx(min(cosines), abs=1e-5)
        case = tmp_path / worst["folder"]
        with np.load(case / "inputs.npz") as inputs:
            assert np.array_equal(inputs["x"], given[int(np.argmin(cosines))])
        page = (tmp_path / "report.html").read_text()
        assert case.name in page and "src=" not in page and "href=" not in page

        again = run("shadow", f"--replay={case}", f"--reference={reference.url}")
    assert again.returncode == 0, again.stderr
    assert "live: disagrees (cosine)" in again.stdout
    assert "reference: agrees, least cosine 1.000000" in again.stdout


def cosine(left: "np.ndarray[Any, Any]", right: "np.ndarray[Any, Any]") -> float:
    return float((left * right).sum() / np.linalg.norm(left) / np.linalg.norm(right))


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, env=environment(), timeout=60, check=False
    )


def test_a_reference_that_hangs_and_dies_harms_nobody(copies: Path, tmp_path: Path) -> None:
    large = np.zeros((1, LARGE), np.float32)
    flags = ("--queue-mib=1", "--reference-timeout-secs=0.5", "--max-in-flight=2")
    with serving(copies) as reference, shadowed(copies, reference.url, tmp_path, *flags) as live:
        live.infer("large", "x", large)
        live.until(lambda: live.metric("compared_total", model="large") == 1)
        reference.signal(signal.SIGSTOP)
        for _ in range(20):
            assert live.infer("large", "x", large).as_numpy("y").shape == large.shape
        live.until(lambda: live.metric("failed_total", model="large", reason="deadline_exceeded") >= 2)
        assert live.metric("dropped_total", reason="queue_full") > 0
        reference.signal(signal.SIGKILL)
        reference.signal(signal.SIGCONT)
        for _ in range(5):
            live.infer("large", "x", large)
        live.server.wait_for_line("cannot be reached; trying again")
        live.until(lambda: live.metric("up") == 0)
        live.infer("large", "x", large)
        found = live.stop()
    assert live.code == 0
    assert found["models"]["large"]["compared"] == 1
    assert found["tap"]["seen"] == 27
    failed = sum(found["models"]["large"]["failed"].values())
    assert found["tap"]["full"] + found["unread"] + failed + 1 == 27


def test_a_server_that_is_killed_leaves_a_report_all_the_same(copies: Path, tmp_path: Path) -> None:
    with serving(copies) as reference, shadowed(copies, reference.url, tmp_path) as live:
        live.infer("copy", "x", rows(1)[0])
        live.until(lambda: live.metric("compared_total", model="copy") == 1)
        live.server.signal(signal.SIGKILL)
        live.until(lambda: (tmp_path / "report.json").exists())
        assert json.loads((tmp_path / "report.json").read_text())["models"]["copy"]["compared"] == 1


def test_what_cannot_be_repeated_is_counted(copies: Path, tmp_path: Path) -> None:
    with shadowed(copies, "127.0.0.1:9", tmp_path) as live:
        with pytest.raises(tritonclient.grpc.InferenceServerException):
            live.infer("copy", "x", rows(1)[0], sequence_id=5)
        with live.server.channel() as channel:
            call = channel.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer", bytes, bytes)
            list(call(iter(()), timeout=10))
        over_http = tritonclient.http.InferInput("x", [1, 4], "FP32")
        over_http.set_data_from_numpy(rows(1)[0])
        tritonclient.http.InferenceServerClient(live.server.http_url).infer("copy", [over_http])
        assert live.metric("skipped_total", reason="sequence") == 1
        assert live.metric("skipped_total", reason="stream") == 1
        assert live.metric("seen_total") == 1
        found = live.stop()
    assert live.code == 0
    assert found["models"] == {}
    assert "a sequence's requests mean nothing out of their order" in (tmp_path / "report.md").read_text()
