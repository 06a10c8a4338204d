"""Model control over gRPC, by the stock client, on both front ends. Codes and texts are those seen of Triton 2.51."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from grpc_health.v1 import health_pb2, health_pb2_grpc
from support.served_models import add_identity_model, copy_config
from support.server import Server, serving
from tritonclient.utils import InferenceServerException

GRPC_ONLY = ("--allow-http=false", "--allow-metrics=false")
MODEL = copy_config("INT32", 4, rest="max_batch_size: 2")
Status = health_pb2.HealthCheckResponse.ServingStatus


@pytest.fixture(params=["native", "grpcio"])
def front_end(request: pytest.FixtureRequest) -> str:
    return f"--frontend={request.param}"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    add_identity_model(tmp_path, "loaded", MODEL)
    add_identity_model(tmp_path, "waiting", MODEL)
    return tmp_path


@pytest.fixture
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture
def server(repository: Path, front_end: str, scratch: Path) -> Iterator[Server]:
    flags = ("--model-control-mode=explicit", "--load-model=loaded", front_end)
    with serving(repository, *flags, *GRPC_ONLY, TMPDIR=str(scratch)) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(server.url) as client:
        yield client


def config_of(max_batch_size: int) -> str:
    tensor = {"data_type": "TYPE_INT32", "dims": [4]}
    config = {"backend": "identity", "max_batch_size": max_batch_size, "input": [{"name": "x", **tensor}]}
    return json.dumps({**config, "output": [{"name": "y", **tensor}]})


def infer(client: triton.InferenceServerClient, model: str) -> list[int]:
    tensor = triton.InferInput("x", [1, 4], "INT32")
    tensor.set_data_from_numpy(np.arange(4, dtype=np.int32).reshape(1, 4))
    answer: list[int] = client.infer(model, [tensor], client_timeout=20).as_numpy("y").tolist()[0]
    return answer


def index(client: triton.InferenceServerClient) -> dict[str, tuple[str, str, str]]:
    entries = client.get_model_repository_index().models
    return {entry.name: (entry.version, entry.state, entry.reason) for entry in entries}


def refusal(call: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(InferenceServerException) as caught:
        call()
    return caught.value.status().removeprefix("StatusCode."), caught.value.message()


def until(condition: Callable[[], bool]) -> None:
    """Wait for what another process does, of which nothing tells."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_only_the_named_models_are_loaded_at_start(client: triton.InferenceServerClient) -> None:
    assert client.is_server_ready() and client.is_model_ready("loaded") and not client.is_model_ready("waiting")
    assert index(client) == {"loaded": ("1", "READY", ""), "waiting": ("", "", "")}


def test_a_model_is_loaded_used_and_unloaded(client: triton.InferenceServerClient) -> None:
    client.load_model("waiting")
    assert infer(client, "waiting") == [0, 1, 2, 3]
    client.unload_model("waiting")
    until(lambda: index(client)["waiting"] == ("1", "UNAVAILABLE", "unloaded"))
    assert refusal(lambda: infer(client, "waiting")) == (
        "NOT_FOUND",
        "Request for unknown model: 'waiting' has no available versions",
    )
    assert infer(client, "loaded") == [0, 1, 2, 3] and client.is_server_ready()


def test_a_config_and_files_of_the_clients_take_the_place_of_the_folders(client: triton.InferenceServerClient) -> None:
    client.load_model("loaded", config=config_of(7))
    assert client.get_model_config("loaded").config.max_batch_size == 7
    client.load_model("fresh", config=config_of(2), files={"file:5/notes": b"whatever"})
    assert infer(client, "fresh") == [0, 1, 2, 3]
    assert client.get_model_metadata("fresh").versions == ["5"]
    assert "fresh" not in index(client)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"model_name": "nope"}, ("INTERNAL", "failed to load 'nope', failed to poll from model repository")),
        (
            {"model_name": "loaded", "config": "{"},
            ("INTERNAL", "failed to load 'loaded', failed to poll from model repository"),
        ),
        (
            {"model_name": "loaded", "config": config_of(2), "files": {"file:1/../../../escaped": b"x"}},
            (
                "INVALID_ARGUMENT",
                "invalid load parameter 'file:1/../../../escaped', expected 'file:<version>/<path>' within the model's "
                "directory.",
            ),
        ),
    ],
)
def test_what_cannot_be_loaded_is_refused_and_harms_nothing(
    client: triton.InferenceServerClient, arguments: dict[str, object], expected: tuple[str, str]
) -> None:
    assert refusal(lambda: client.load_model(**arguments)) == expected
    assert infer(client, "loaded") == [0, 1, 2, 3] and client.is_server_ready()


def test_a_failed_reload_leaves_what_serves(client: triton.InferenceServerClient, repository: Path) -> None:
    (repository / "loaded" / "config.pbtxt").write_text(
        'backend: "identity"' + MODEL.replace('name: "y" data_type: TYPE_INT32', 'name: "y" data_type: TYPE_FP32')
    )
    code, message = refusal(lambda: client.load_model("loaded"))
    assert code == "INVALID_ARGUMENT"
    assert message.startswith("load failed for model 'loaded': version 1 is at UNAVAILABLE state: Invalid argument: ")
    assert infer(client, "loaded") == [0, 1, 2, 3] and client.is_server_ready()


def test_an_ensemble_brings_its_steps_and_goes_with_them(
    client: triton.InferenceServerClient, repository: Path
) -> None:
    add_identity_model(repository, "both", "").joinpath("config.pbtxt").write_text(
        'platform: "ensemble"\n' + MODEL + "ensemble_scheduling {"
        '  step { model_name: "loaded" model_version: -1 input_map { key: "x" value: "x" }'
        '    output_map { key: "y" value: "between" } }'
        '  step { model_name: "waiting" model_version: -1 input_map { key: "x" value: "between" }'
        '    output_map { key: "y" value: "y" } } }'
    )
    client.load_model("both")
    assert infer(client, "both") == [0, 1, 2, 3] and client.is_model_ready("waiting")
    client.unload_model("waiting")
    until(lambda: index(client)["both"] == ("1", "UNAVAILABLE", "unloaded"))
    client.load_model("both")
    client.unload_model("both", unload_dependents=True)
    assert not client.is_model_ready("waiting") and client.is_model_ready("loaded")


def test_statistics_outlive_a_load_that_changes_nothing(client: triton.InferenceServerClient) -> None:
    infer(client, "loaded")
    client.load_model("loaded")
    assert client.get_inference_statistics("loaded").model_stats[0].inference_count == 1


@pytest.mark.parametrize("mode", ["none", "poll"])
def test_other_modes_load_everything_and_refuse_to_change_it(repository: Path, front_end: str, mode: str) -> None:
    with (
        serving(repository, f"--model-control-mode={mode}", front_end, *GRPC_ONLY) as server,
        triton.InferenceServerClient(server.url) as client,
    ):
        expected = ("UNAVAILABLE", "explicit model load / unload is not allowed if polling is enabled")
        assert refusal(lambda: client.load_model("loaded")) == expected
        assert refusal(lambda: client.unload_model("loaded")) == expected
        assert infer(client, "waiting") == [0, 1, 2, 3]


def test_the_repository_is_followed(repository: Path, front_end: str) -> None:
    flags = ("--model-control-mode=poll", "--repository-poll-secs=1", front_end)
    with serving(repository, *flags, *GRPC_ONLY) as server, triton.InferenceServerClient(server.url) as client:
        (repository / "loaded" / "2").mkdir()
        shutil.rmtree(repository / "waiting")
        add_identity_model(repository, "new", MODEL)
        until(lambda: index(client).keys() == {"loaded", "new"} and client.is_model_ready("loaded", "2"))
        until(lambda: client.is_model_ready("new"))
        assert infer(client, "new") == [0, 1, 2, 3]
        assert not client.is_model_ready("waiting")


def test_a_watch_follows_a_model_and_ends_with_the_server(server: Server, client: triton.InferenceServerClient) -> None:
    with server.channel() as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        model, everything = (
            stub.Watch(health_pb2.HealthCheckRequest(service=service), timeout=60) for service in ("waiting", "")
        )
        assert Status.Name(next(model).status) == "SERVICE_UNKNOWN"
        assert Status.Name(next(everything).status) == "SERVING"
        client.load_model("waiting")
        # While it is being loaded it is known and does not serve; a watch that is quick enough sees that too.
        assert any(response.status == Status.SERVING for response in model)
        server.signal()
        # A model that is being loaded makes the whole server not ready for that while.
        assert [Status.Name(response.status) for response in everything][-1] == "NOT_SERVING"
        assert [Status.Name(response.status) for response in model] == ["NOT_SERVING"]
        assert (model.code(), everything.code()) == (grpc.StatusCode.OK, grpc.StatusCode.OK)
    assert server.wait() == 0


def test_a_named_config_goes_before_the_folders(repository: Path, front_end: str) -> None:
    named = repository / "loaded" / "configs"
    named.mkdir()
    (named / "large.pbtxt").write_text('backend: "identity"' + MODEL.replace("max_batch_size: 2", "max_batch_size: 9"))
    with (
        serving(repository, "--model-config-name=large", front_end, *GRPC_ONLY) as server,
        triton.InferenceServerClient(server.url) as client,
    ):
        assert client.get_model_config("loaded").config.max_batch_size == 9
        assert client.get_model_config("waiting").config.max_batch_size == 2


def test_a_thousand_bad_loads_leave_the_good_models_unharmed(
    client: triton.InferenceServerClient, scratch: Path
) -> None:
    """Also no temporary folder stays behind."""
    for number in range(250):
        refusal(partial(client.load_model, f"no_{number}"))
        refusal(lambda: client.load_model("loaded", config='{"max_batch_size": -1}'))
        refusal(lambda: client.load_model("x", config='{"backend": "none"}', files={"file:1/f": bytes(100)}))
        refusal(lambda: client.load_model("loaded", files={"file:1/f": b""}))
    assert infer(client, "loaded") == [0, 1, 2, 3]
    assert not list(scratch.iterdir())
