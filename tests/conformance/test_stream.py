"""ModelStreamInfer with the stock client, on both front ends."""

import queue
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from support.served_models import add_identity_model, copy_config
from support.server import Server, serving
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

FRONT_ENDS = ("native", "grpcio")
GRPC_ALONE = ("--allow-http=false", "--allow-metrics=false")
LONG_MS = 300


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    folder = tmp_path_factory.mktemp("stream")
    add_identity_model(folder, "quick", copy_config("FP32", 1))
    slow = f'parameters {{ key: "execute_delay_ms" value {{ string_value: "{LONG_MS}" }} }}'
    add_identity_model(folder, "slow", copy_config("FP32", 1, rest=slow))
    add_identity_model(folder, "large", copy_config("FP32", 2**20))
    with ExitStack() as stack:
        yield {name: stack.enter_context(serving(folder, f"--frontend={name}", *GRPC_ALONE)) for name in FRONT_ENDS}


@pytest.fixture(params=FRONT_ENDS)
def server(servers: dict[str, Server], request: pytest.FixtureRequest) -> Server:
    server: Server = servers[request.param]
    return server


def tensor(*values: float) -> triton.InferInput:
    given = triton.InferInput("x", [len(values)], "FP32")
    given.set_data_from_numpy(np.array(values, np.float32))
    return given


class Talk:
    """A stream of tritonclient's, with what came back in order."""

    def __init__(self, client: triton.InferenceServerClient, **options: Any) -> None:
        self._client = client
        self._answers: queue.Queue[tuple[Any, InferenceServerException | None]] = queue.Queue()
        client.start_stream(lambda result, error: self._answers.put((result, error)), **options)

    def ask(self, model: str, *values: float, id: str = "", **options: Any) -> None:
        self._client.async_stream_infer(model, [tensor(*values)], request_id=id, **options)

    def next(self) -> Any:
        result, error = self._answers.get(timeout=30)
        return error if error is not None else result

    def close(self) -> None:
        self._client.stop_stream()


@pytest.fixture
def talk(server: Server) -> Iterator[Talk]:
    with triton.InferenceServerClient(server.url) as client, closing(Talk(client)) as talk:
        yield talk


def test_answers_come_in_the_order_of_the_requests(talk: Talk) -> None:
    talk.ask("slow", 1.0, id="a")
    for index in range(20):
        talk.ask("quick", float(index), id=str(index))
    results = [talk.next() for _ in range(21)]
    assert [result.get_response().id for result in results] == ["a", *map(str, range(20))]
    assert [result.as_numpy("y")[0] for result in results] == [1.0, *map(float, range(20))]
    assert all(result.get_response().parameters["triton_final_response"].bool_param for result in results)


def test_an_error_keeps_its_place_and_the_stream_goes_on(talk: Talk) -> None:
    talk.ask("slow", 1.0, id="a")
    talk.ask("nope", 1.0, id="b")
    talk.ask("quick", 1.0, 2.0, id="c")
    talk.ask("quick", 1.0, id="d")
    first, unknown, shape, last = (talk.next() for _ in range(4))
    assert (first.get_response().id, last.get_response().id) == ("a", "d")
    assert unknown.message() == "Request for unknown model: 'nope' is not found"
    assert (
        shape.message() == "[request id: c] unexpected shape for input 'x' for model 'quick'. Expected [1], got [2]. "
    )


def test_messages_of_megabytes_pass_both_ways(talk: Talk) -> None:
    values = np.arange(2**20, dtype=np.float32)
    for index in range(6):
        given = triton.InferInput("x", [2**20], "FP32")
        given.set_data_from_numpy(values + index)
        talk._client.async_stream_infer("large", [given])
    for index in range(6):
        np.testing.assert_array_equal(talk.next().as_numpy("y"), values + index)


def test_two_streams_do_not_wait_for_each_other(server: Server) -> None:
    with (
        triton.InferenceServerClient(server.url) as one,
        triton.InferenceServerClient(server.url) as other,
        closing(Talk(one)) as waiting,
        closing(Talk(other)) as quick,
    ):
        waiting.ask("slow", 1.0)
        quick.ask("quick", 2.0)
        assert quick.next().as_numpy("y")[0] == 2.0
        assert waiting._answers.empty()
        assert waiting.next().as_numpy("y")[0] == 1.0


def message(model: str, id: str, value: float = 1.0) -> service_pb2.ModelInferRequest:
    request = service_pb2.ModelInferRequest(model_name=model, id=id, raw_input_contents=[np.float32(value).tobytes()])
    request.inputs.add(name="x", datatype="FP32", shape=[1])
    return request


def test_closing_the_sending_side_ends_the_call_behind_the_last_answer(server: Server) -> None:
    with server.channel() as channel:
        call = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelStreamInfer(
            iter([message("slow", "a"), message("quick", "b")]), timeout=30
        )
        assert [answer.infer_response.id for answer in call] == ["a", "b"]
        assert call.code() is grpc.StatusCode.OK


def test_a_cancelled_stream_takes_its_requests_with_it_and_nothing_else(server: Server) -> None:
    with server.channel() as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        ended = threading.Event()

        def requests() -> Iterator[service_pb2.ModelInferRequest]:
            yield message("quick", "first")
            for index in range(100):
                yield message("slow", str(index))
            ended.wait(30)

        call = stub.ModelStreamInfer(requests(), timeout=60)
        assert next(call).infer_response.id == "first"
        call.cancel()
        with pytest.raises(grpc.RpcError):
            next(call)
        ended.set()
        # A hundred requests of 0.3 s are not in its way.
        assert stub.ModelInfer(message("slow", "after"), timeout=10).id == "after"


def test_a_deadline_ends_a_stream(server: Server) -> None:
    with server.channel() as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        call = stub.ModelStreamInfer(iter([message("slow", str(index)) for index in range(50)]), timeout=0.5)
        with pytest.raises(grpc.RpcError) as caught:
            list(call)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert stub.ModelInfer(message("quick", "after"), timeout=10).id == "after"


def test_bytes_that_are_no_message_end_the_stream(server: Server) -> None:
    with server.channel() as channel:
        method = channel.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer", None, None)
        call = method(iter([message("quick", "a").SerializeToString(), b"\xff\xff"]), timeout=30)
        with pytest.raises(grpc.RpcError) as caught:
            list(call)
        assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.INTERNAL, "Unable to parse request")


async def test_the_asynchronous_client_streams(server: Server) -> None:
    import tritonclient.grpc.aio as triton_aio

    async def requests() -> Any:
        for index in range(10):
            yield {"model_name": "quick", "inputs": [tensor(float(index))], "request_id": str(index)}

    async with triton_aio.InferenceServerClient(server.url) as client:
        seen = [(result.as_numpy("y")[0], error) async for result, error in client.stream_infer(requests())]
    assert seen == [(float(index), None) for index in range(10)]
