"""Models that share devices: by weight, by resources, and what each takes of a device's memory."""

import threading
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
from support.infer_requests import infer, pair_request
from support.prometheus import Metric, parse_metrics
from support.served_models import add_model
from support.server import Server, serving

CLIENTS = 6
REQUESTS = 100
IDENTITY = """backend: "identity" max_batch_size: 1 instance_group { count: 1 RATE } parameters [
  { key: "execute_delay_ms" value { string_value: "10" } } WEIGHT ]
input { name: "x" data_type: TYPE_FP32 dims: 1 } output { name: "y" data_type: TYPE_FP32 dims: 1 }
"""


def add_identity(repository: Path, name: str, *, weight: str = "", rate: str = "") -> None:
    (repository / name / "1").mkdir(parents=True)
    parameter = f', {{ key: "device_weight" value {{ string_value: "{weight}" }} }}' if weight else ""
    (repository / name / "config.pbtxt").write_text(IDENTITY.replace("WEIGHT", parameter).replace("RATE", rate))


class Crowd:
    """Clients of a model that always have a request under way, until the first model has answered enough."""

    def __init__(self, url: str, model: str, enough: threading.Event) -> None:
        self.answered = 0
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask, args=(url, model, enough)) for _ in range(CLIENTS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _ask(self, url: str, model: str, enough: threading.Event) -> None:
        given = triton_grpc.InferInput("x", (1, 1), "FP32")
        given.set_data_from_numpy(np.ones((1, 1), np.float32))
        with triton_grpc.InferenceServerClient(url) as client:
            while not enough.is_set():
                client.infer(model, [given])
                with self._lock:
                    self.answered += 1
                    if self.answered >= REQUESTS:
                        enough.set()


def answered(url: str, *models: str) -> list[int]:
    """Return how many requests each model has answered when the first of them had enough."""
    enough = threading.Event()
    crowds = [Crowd(url, model, enough) for model in models]
    for crowd in crowds:
        crowd.start()
    for crowd in crowds:
        crowd.join()
    return [crowd.answered for crowd in crowds]


def test_models_share_a_device_by_their_weights(tmp_path: Path) -> None:
    add_identity(tmp_path, "heavy", weight="4")
    add_identity(tmp_path, "light", weight="1")
    with serving(tmp_path) as server:
        heavy, light = answered(server.url, "heavy", "light")
        # A quarter; and what was under way at either end.
        assert 0.15 * heavy < light < 0.4 * heavy


def test_executions_that_need_one_resource_take_turns_by_priority(tmp_path: Path) -> None:
    add_identity(tmp_path, "often", rate='rate_limiter { resources { name: "R" count: 1 } priority: 1 }')
    add_identity(tmp_path, "seldom", rate='rate_limiter { resources { name: "R" count: 1 } priority: 4 }')
    with serving(tmp_path, "--rate-limit=execution_count") as server:
        often, seldom = answered(server.url, "often", "seldom")
        assert 0.15 * often < seldom < 0.4 * often


def test_without_the_flag_nothing_is_limited(tmp_path: Path) -> None:
    add_identity(tmp_path, "m", rate='rate_limiter { resources { name: "R" count: 9 } }')
    with serving(tmp_path, "--rate-limit-resource=R:1") as server:
        assert answered(server.url, "m") >= [REQUESTS]


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (
            ["--rate-limit=execution_count", "--rate-limit-resource=R:1"],
            'Resource count for "R" is limited to 1 which will prevent scheduling of one or more model instances, '
            "the minimum required count is 4",
        ),
        (["--host-policy=gpu_0,cpu-cores=1000"], "CPU core 1000 is none of those that this process may use"),
        (["--host-policy=gpu_0,numa-node=99"], "NUMA node 99 does not exist"),
    ],
)
def test_what_the_machine_or_the_pools_do_not_have_fails_the_load_by_name(
    tmp_path: Path, flags: list[str], text: str
) -> None:
    add_model(tmp_path, "pair")
    config = tmp_path / "pair" / "config.pbtxt"
    group = 'instance_group { kind: KIND_GPU count: 1 rate_limiter { resources { name: "R" count: 4 } } }'
    config.write_text(config.read_text() + group)
    with serving(tmp_path, "--exit-on-error=false", *flags) as server:
        assert any("'pair'" in line and text in line for line in server.lines), "".join(server.lines)


def scrape(server: Server) -> dict[str, Metric]:
    with urllib.request.urlopen(f"http://{server.metrics_url}/metrics", timeout=60) as answer:
        return parse_metrics(answer.read().decode())


def test_what_a_model_takes_of_each_device_is_told(tmp_path: Path) -> None:
    add_model(tmp_path, "pair")
    with serving(tmp_path, NPUSERVE_EMULATOR_DEVICES="2") as server, server.channel() as channel:
        infer(channel, pair_request())
        told = scrape(server)["npu_model_memory_bytes"]
        for device in ("0", "1"):
            for kind in ("work", "buffers", "pinned"):
                assert told.value("npu_model_memory_bytes", model="pair", version="1", device=device, kind=kind) > 0
            assert any(f"model 'pair' version 1 takes on device {device}" in line for line in server.lines)


def test_a_host_policy_is_followed_and_one_that_is_not_set_is_warned_of(tmp_path: Path) -> None:
    add_model(tmp_path, "pair")
    config = tmp_path / "pair" / "config.pbtxt"
    config.write_text(config.read_text() + 'instance_group { kind: KIND_GPU count: 1 host_policy: "near" }')
    with serving(tmp_path) as server, server.channel() as channel:
        infer(channel, pair_request())
        assert any("host_policy 'near' has no effect" in line for line in server.lines)
