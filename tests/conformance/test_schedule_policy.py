"""The extension `schedule_policy`: priorities and timeouts of requests that wait for a busy model, on a real server."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import grpc
import pytest
from support.golden_calls import SERVICE, Answer, Asked, Http, floats, infer, infer_request, text
from support.golden_calls import Target as CalledServer
from support.golden_models import copying, write_repository
from support.server import Server, serving
from tritonclient.grpc import service_pb2 as pb

SOURCE = """import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    executed = 0

    def execute(self, requests):
        return [self._answer(request) for request in requests]

    def _answer(self, request):
        (path,) = pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy()
        if path:
            # Two pipes: each opens when the test opens it too.
            open(path + b".begun").close()
            open(path + b".may_end").close()
        self.executed += 1
        order = np.array([str(self.executed)], object)
        return pb_utils.InferenceResponse(output_tensors=[pb_utils.Tensor("OUTPUT0", order)])
"""
HOUR_US = 3_600_000_000
QUEUE = f"""max_batch_size: 0
dynamic_batching {{ priority_levels: 3 default_priority_level: 2 default_queue_policy {{
  default_timeout_microseconds: {HOUR_US} allow_timeout_override: true max_queue_size: 8 }} }}"""
MODELS = (
    copying("queued", "STRING", "[ 1 ]", QUEUE, backend="python"),
    copying(
        "native",
        "FP32",
        "[ 2 ]",
        QUEUE
        + ' parameters { key: "execute_delay_ms" value { string_value: "500" } } instance_group { kind: KIND_CPU }',
    ),
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Asked]]:
    repository = tmp_path_factory.mktemp("policy") / "models"
    write_repository(repository, MODELS, "npuserve")
    (repository / "queued" / "1" / "model.py").write_text(SOURCE)
    with serving(repository) as server, server.channel() as channel:
        http, metrics = (int(url.rpartition(":")[2]) for url in (server.http_url, server.metrics_url))
        yield server, Asked(CalledServer(server.url, http, metrics, repository), channel)


def asking(asked: Asked, path: str = "", **parameters: int) -> "grpc.Future[pb.ModelInferResponse]":
    """Begin a request; with a path the model is busy with it until the second of its pipes is opened."""
    request = infer_request("queued", text(path, shape=(1,)), parameters=parameters)
    call = asked.channel.unary_unary(SERVICE + "ModelInfer", None, pb.ModelInferResponse.FromString)
    return call.future(request.SerializeToString(), timeout=60)


@contextmanager
def busy(asked: Asked, folder: Path) -> Iterator[None]:
    """The model runs a request, so that others wait."""
    begun, may_end = folder / "pipe.begun", folder / "pipe.may_end"
    for pipe in (begun, may_end):
        os.mkfifo(pipe)
    running = asking(asked, str(folder / "pipe"))
    begun.open("w").close()
    try:
        yield
    finally:
        may_end.open("w").close()
        running.result()


def wait_for_pending(asked: Asked, count: int, model: str = "queued") -> None:
    """Return when so many requests wait in the queue."""
    wanted = f'nv_inference_pending_request_count{{model="{model}",version="1"}} {count}'

    def waits(answer: Answer) -> bool:
        return wanted in answer["body"]["text"].splitlines()

    assert waits(Http(path="/metrics", metrics=True, until=waits).answer(asked))


def order(future: "grpc.Future[pb.ModelInferResponse]") -> int:
    """Return how many requests had run with this one."""
    return int(future.result().raw_output_contents[0][4:])


def test_requests_of_higher_priority_go_first(served: tuple[Server, Asked], tmp_path: Path) -> None:
    _, asked = served
    with busy(asked, tmp_path):
        waiting = []
        for index, priority in enumerate((3, 0, 1)):
            waiting.append(asking(asked, priority=priority))
            wait_for_pending(asked, index + 1)
    low, default, high = (order(future) for future in waiting)
    assert (default, low) == (high + 1, high + 2)


def test_a_request_whose_timeout_is_over_is_refused_while_others_wait_on(
    served: tuple[Server, Asked], tmp_path: Path
) -> None:
    _, asked = served
    with busy(asked, tmp_path):
        patient = asking(asked)
        hurried = asking(asked, timeout=1000)
        error = hurried.exception()
        assert isinstance(error, grpc.Call)
        assert (error.code(), error.details()) == (grpc.StatusCode.UNAVAILABLE, "Request timeout expired")
        assert not patient.done()
    assert order(patient) > 0


def test_more_requests_than_the_queue_takes_are_refused(served: tuple[Server, Asked], tmp_path: Path) -> None:
    _, asked = served
    with busy(asked, tmp_path):
        waiting = [asking(asked) for _ in range(8)]
        wait_for_pending(asked, 8)
        error = asking(asked).exception()
        assert isinstance(error, grpc.Call)
        assert (error.code(), error.details()) == (
            grpc.StatusCode.UNAVAILABLE,
            "[request id: <id_unknown>] Exceeds maximum queue size",
        )
    assert all(order(future) for future in waiting)


def native(asked: Asked, value: float, **parameters: int) -> "grpc.Future[pb.ModelInferResponse]":
    """Begin a request to the model of the native engine, which takes half a second for each."""
    tensor = floats("INPUT0", (2,), value, value)
    request = infer_request("native", tensor, parameters=parameters)
    call = asked.channel.unary_unary(SERVICE + "ModelInfer", None, pb.ModelInferResponse.FromString)
    return call.future(request.SerializeToString(), timeout=60)


def test_the_native_engine_serves_higher_priorities_first(served: tuple[Server, Asked]) -> None:
    _, asked = served
    answered: list[str] = []
    # One runs and one is made ready behind it: the others wait.
    futures = [native(asked, 0), native(asked, 0)]
    for name, priority in (("low", 3), ("default", 0), ("high", 1)):
        futures.append(native(asked, 1, priority=priority))
        futures[-1].add_done_callback(partial(_note, answered, name))
    wait_for_pending(asked, 3, "native")
    for future in futures:
        future.result()
    assert answered == ["high", "default", "low"]


def _note(answered: list[str], name: str, _: object) -> None:
    answered.append(name)


def test_the_native_engine_refuses_what_has_waited_too_long(served: tuple[Server, Asked]) -> None:
    _, asked = served
    running = [native(asked, 0), native(asked, 0)]
    hurried = native(asked, 1, timeout=1000)
    error = hurried.exception()
    assert isinstance(error, grpc.Call)
    assert (error.code(), error.details()) == (grpc.StatusCode.UNAVAILABLE, "Request timeout expired")
    assert not any(future.done() for future in running)
    for future in running:
        future.result()


@pytest.mark.parametrize("model", ["queued", "native"])
@pytest.mark.parametrize(
    ("parameters", "refusal"),
    [
        ({"priority": 4}, "invalid value for 'priority' of model '{model}', expected 0 to 3, got 4"),
        ({"timeout": 0}, "invalid value for 'timeout' of model '{model}', expected microseconds above 0, got 0"),
        ({"timeout": -1}, "invalid value for 'timeout' of model '{model}', expected microseconds above 0, got -1"),
    ],
)
def test_what_the_policies_do_not_have_is_refused_alike(
    served: tuple[Server, Asked], model: str, parameters: dict[str, int], refusal: str
) -> None:
    _, asked = served
    given = text("", shape=(1,)) if model == "queued" else floats("INPUT0", (2,), 1, 2)
    text_of_refusal = refusal.format(model=model)
    answer = infer(model, given, parameters=parameters).answer(asked)
    assert answer == {"code": "INVALID_ARGUMENT", "details": text_of_refusal}
    if -1 in parameters.values():
        return  # over HTTP no number is below 0, whatever the model
    body = {"parameters": parameters, "inputs": [_json_input(model)]}
    refused = Http(path=f"/v2/models/{model}/infer", method="POST", body=body).answer(asked)
    assert (refused["status"], refused["body"]) == (400, {"error": text_of_refusal})


def _json_input(model: str) -> dict[str, object]:
    if model == "queued":
        return {"name": "INPUT0", "datatype": "BYTES", "shape": [1], "data": [""]}
    return {"name": "INPUT0", "datatype": "FP32", "shape": [2], "data": [1, 2]}
