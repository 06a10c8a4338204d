"""Python models served by a real server, asked by stock clients: gRPC, HTTP, streams, calls between models, faults."""

import queue
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as grpcclient
import tritonclient.http as httpclient
from support.python_models import ECHO, model_source
from support.served_models import add_identity_model, copy_config
from support.server import Server, serving
from tritonclient.utils import InferenceServerException

TENSORS = """
input [{{ name: "I" data_type: {input} dims: [-1] }}]
output [{{ name: "O" data_type: {output} dims: [-1] }}]
"""
FAILED = "Failed to process the request(s) for model 'sometimes_0', message: "
FLOATS = TENSORS.format(input="TYPE_FP32", output="TYPE_FP32")
SOMETIMES = """
given = [pb_utils.get_input_tensor_by_name(r, "I").as_numpy()[0][0] for r in requests]
if -1 in given:
    raise RuntimeError("boom")
if -2 in given:
    os._exit(3)
if -3 in given:
    error = pb_utils.TritonError("model says no", pb_utils.TritonError.INVALID_ARG)
    return [pb_utils.InferenceResponse([], error=error) for _ in requests]
"""
# A tokenizer as deployments have it: text in, ids out.
WORDS = """
responses = []
for r in requests:
    texts = pb_utils.get_input_tensor_by_name(r, "I").as_numpy()
    lengths = [[len(word) for word in row[0].decode().split()] for row in texts]
    responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("O", np.array(lengths, np.int64))]))
return responses
"""
CALLS = """
responses = []
for r in requests:
    given = pb_utils.Tensor("x", r.inputs()[0].as_numpy())
    call = pb_utils.InferenceRequest(model_name="plain", requested_output_names=["y"], inputs=[given])
    answer = call.exec()
    if answer.has_error():
        responses.append(pb_utils.InferenceResponse(error=answer.error()))
        continue
    output = pb_utils.get_output_tensor_by_name(answer, "y").as_numpy() + 1
    responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("O", output)]))
return responses
"""
COUNTS = """
for r in requests:
    sender = r.get_response_sender()
    for number in range(int(r.inputs()[0].as_numpy()[0])):
        sender.send(pb_utils.InferenceResponse([pb_utils.Tensor("O", np.float32([number]))]))
    sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""
COMPLETES = """
@staticmethod
def auto_complete_config(config):
    config.add_input({"name": "I", "data_type": "TYPE_FP32", "dims": [-1]})
    config.add_output({"name": "O", "data_type": "TYPE_FP32", "dims": [-1]})
    config.set_max_batch_size(4)
    config.set_dynamic_batching()
    return config
"""


def add_python_model(repository: Path, name: str, source: str, config: str | None) -> None:
    (repository / name / "1").mkdir(parents=True)
    (repository / name / "1" / "model.py").write_text(source)
    if config is not None:
        (repository / name / "config.pbtxt").write_text(f'name: "{name}"\nbackend: "python"\n{config}')


@pytest.fixture(scope="module")
def python_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("python_models")
    dynamic = "max_batch_size: 8\ndynamic_batching {}\n" + FLOATS
    add_python_model(folder, "sometimes", model_source(SOMETIMES + ECHO), dynamic)
    text_to_ids = TENSORS.format(input="TYPE_STRING", output="TYPE_INT64")
    add_python_model(folder, "words", model_source(WORDS), "max_batch_size: 8\n" + text_to_ids)
    add_python_model(folder, "calls", model_source(CALLS), FLOATS)
    add_python_model(folder, "counts", model_source(COUNTS), FLOATS + "model_transaction_policy { decoupled: true }")
    add_python_model(folder, "completes", model_source(ECHO, more=COMPLETES), None)
    add_identity_model(folder, "plain", copy_config("FP32", 3))
    return folder


@pytest.fixture(scope="module", params=("native", "grpcio"))
def python_server(python_repository: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    with serving(python_repository, f"--frontend={request.param}", "--allow-http=true", "--http-port=0") as server:
        yield server


@pytest.fixture
def client(python_server: Server) -> Iterator[Any]:
    with grpcclient.InferenceServerClient(python_server.url) as client:
        yield client


def given(*values: float, rows: bool = True) -> list[Any]:
    array = np.array([values] if rows else values, np.float32)
    tensor = grpcclient.InferInput("I", array.shape, "FP32")
    tensor.set_data_from_numpy(array)
    return [tensor]


def test_text_goes_in_and_numbers_come_out(client: Any) -> None:
    texts = np.array([["to be or"], ["not to be"]], dtype=object)
    tensor = grpcclient.InferInput("I", texts.shape, "BYTES")
    tensor.set_data_from_numpy(texts)
    assert client.infer("words", [tensor]).as_numpy("O").tolist() == [[2, 2, 2], [3, 2, 2]]


def test_text_goes_in_over_http(python_server: Server) -> None:
    with httpclient.InferenceServerClient(python_server.http_url) as http:
        texts = np.array([["to be or"]], dtype=object)
        tensor = httpclient.InferInput("I", texts.shape, "BYTES")
        tensor.set_data_from_numpy(texts, binary_data=False)
        assert http.infer("words", [tensor]).as_numpy("O").tolist() == [[2, 2, 2]]


def test_a_model_calls_another_and_adds_to_its_answer(client: Any) -> None:
    assert client.infer("calls", given(1, 2, 3, rows=False)).as_numpy("O").tolist() == [2, 3, 4]


def test_the_error_of_a_called_model_becomes_the_answer(client: Any) -> None:
    with pytest.raises(InferenceServerException) as caught:
        client.infer("calls", given(1, 2, rows=False))
    assert caught.value.status() == "StatusCode.INTERNAL"
    text = "Model plain - Error when running inference: [request id: <id_unknown>] unexpected shape for input 'x' for"
    assert text in caught.value.message()


def test_a_decoupled_model_streams_its_answers(python_server: Server) -> None:
    answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
    with grpcclient.InferenceServerClient(python_server.url) as client:
        client.start_stream(lambda result, error: answers.put((result, error)))
        client.async_stream_infer("counts", given(3, rows=False), enable_empty_final_response=True)
        received = [answers.get(timeout=30) for _ in range(4)]
        client.stop_stream()
    assert [error for _, error in received] == [None] * 4
    assert [result.as_numpy("O").tolist() for result, _ in received[:3]] == [[0], [1], [2]]
    final = received[3][0].get_response()
    assert final.parameters["triton_final_response"].bool_param
    assert not final.outputs


def test_a_model_without_a_config_is_what_it_says_it_is(client: Any) -> None:
    config = client.get_model_config("completes", as_json=True)["config"]
    assert (config["max_batch_size"], config["backend"], "dynamic_batching" in config) == (4, "python", True)
    assert client.get_model_metadata("completes", as_json=True)["inputs"][0]["shape"] == ["-1", "-1"]
    assert client.infer("completes", given(5)).as_numpy("O").tolist() == [[5]]


@pytest.mark.parametrize(
    ("value", "status", "message"),
    [
        (-1, "INTERNAL", f"{FAILED}RuntimeError: boom\n\nAt:\n"),
        (-2, "INTERNAL", "Stub process 'sometimes_0' is not healthy."),
        (-3, "INVALID_ARGUMENT", "model says no"),
    ],
)
def test_what_goes_wrong_in_a_model_is_told_and_the_next_request_is_served(
    client: Any, python_server: Server, value: float, status: str, message: str
) -> None:
    with pytest.raises(InferenceServerException) as caught:
        client.infer("sometimes", given(value))
    assert caught.value.status() == f"StatusCode.{status}"
    assert caught.value.message().startswith(message)
    with httpclient.InferenceServerClient(python_server.http_url) as http:
        tensor = httpclient.InferInput("I", [1, 1], "FP32")
        tensor.set_data_from_numpy(np.array([[value]], np.float32))
        with pytest.raises(InferenceServerException, match=r"boom|not healthy|says no") as over_http:
            http.infer("sometimes", [tensor])
    assert over_http.value.status() == ("400" if status == "INVALID_ARGUMENT" else "500")
    assert client.infer("sometimes", given(1, 2)).as_numpy("O").tolist() == [[1, 2]]


def test_good_requests_are_answered_right_among_ones_that_kill_their_process(python_server: Server) -> None:
    def ask(number: int) -> str:
        with grpcclient.InferenceServerClient(python_server.url) as client:
            # Every tenth kills the process, and with it those of its batch; nobody gets a wrong answer.
            value = -2 if number % 10 == 0 else number
            try:
                answer = client.infer("sometimes", given(value)).as_numpy("O").tolist()
            except InferenceServerException as error:
                return str(error.message())
            assert answer == [[number]]
            return "right"

    with ThreadPoolExecutor(16) as threads:
        outcomes = list(threads.map(ask, range(60)))
    assert set(outcomes) <= {"right", "Stub process 'sometimes_0' is not healthy."}
    assert all(outcome != "right" for outcome in outcomes[::10])
    with grpcclient.InferenceServerClient(python_server.url) as client:
        assert client.infer("sometimes", given(7)).as_numpy("O").tolist() == [[7]]
        assert client.is_server_ready()
        assert client.infer("plain", _plain()).as_numpy("y").tolist() == [1, 2, 3]


def _plain() -> list[Any]:
    tensor = grpcclient.InferInput("x", [3], "FP32")
    tensor.set_data_from_numpy(np.array([1, 2, 3], np.float32))
    return [tensor]


def test_statistics_count_executions_and_error_responses_as_triton_does(python_repository: Path) -> None:
    with serving(python_repository) as server, grpcclient.InferenceServerClient(server.url) as client:
        for value in (1, -1, -3, -2):
            try:
                client.infer("sometimes", given(value))
            except InferenceServerException:
                assert value < 0
        (statistics,) = client.get_inference_statistics("sometimes").model_stats
    counts = statistics.inference_stats
    assert (counts.success.count, counts.fail.count, counts.queue.count) == (2, 2, 2)
    assert (statistics.inference_count, statistics.execution_count) == (2, 3)
    assert [(each.batch_size, each.compute_infer.count) for each in statistics.batch_stats] == [(1, 3)]


def test_a_model_that_raises_while_loading_is_unavailable_for_that_reason(tmp_path: Path) -> None:
    add_python_model(tmp_path, "bad", model_source(ECHO, initialize="raise ValueError('bad init')"), FLOATS)
    add_identity_model(tmp_path, "plain", copy_config("FP32", 3))
    with serving(tmp_path, "--exit-on-error=false") as server, grpcclient.InferenceServerClient(server.url) as client:
        index = {each["name"]: each for each in client.get_model_repository_index(as_json=True)["models"]}
        assert client.infer("plain", _plain()).as_numpy("y").tolist() == [1, 2, 3]
    assert index["bad"]["state"] == "UNAVAILABLE"
    path = tmp_path / "bad" / "1" / "model.py"
    assert index["bad"]["reason"].rstrip() == f"Internal: ValueError: bad init\n\nAt:\n  {path}(8): initialize"
    assert index["plain"]["state"] == "READY"
