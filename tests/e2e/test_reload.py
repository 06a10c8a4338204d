"""Models are loaded anew again and again while 64 clients use them: not one request may fail or be answered wrongly."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import grpc.aio
import numpy as np
import pytest
import tritonclient.http
import tritonclient.http.aio
from npuserve._proto import inference_pb2 as pb
from support.served_models import add_identity_model, copy_config
from support.server import Server, serving
from tritonclient.utils import InferenceServerException

CLIENTS = 64
RELOADS = 20
WIDTH = 16
SERVICE = "/inference.GRPCInferenceService/"

MODEL = copy_config("INT32", WIDTH, rest="max_batch_size: 8 dynamic_batching { }")


@dataclass
class Traffic:
    """What the clients saw. `is_over` ends them; `news` is set with every answer."""

    answers: int = 0
    versions: set[str] = field(default_factory=set)
    mistakes: list[str] = field(default_factory=list)
    is_over: bool = False
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, answers: int) -> None:
        """Wait until there have been so many, or a mistake."""
        async with asyncio.timeout(60):
            while self.answers < answers and not self.mistakes:
                self.news.clear()
                await self.news.wait()

    def take(self, request: pb.ModelInferRequest, response: pb.ModelInferResponse) -> None:
        self.answers += 1
        self.versions.add(response.model_version)
        if response.id != request.id or list(response.raw_output_contents) != list(request.raw_input_contents):
            self.mistakes.append(f"request {request.id} was answered with {response.id}'s content")
        self.news.set()

    def fail(self, request: pb.ModelInferRequest, reason: str) -> None:
        self.mistakes.append(f"request {request.id}: {reason}")
        self.news.set()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for name in ("copied", "streamed"):
        add_identity_model(tmp_path, name, MODEL)
    return tmp_path


@pytest.fixture
def http_server(repository: Path) -> Iterator[Server]:
    flags = ("--model-control-mode=explicit", "--load-model=*", "--allow-metrics=false")
    with serving(repository, *flags) as server:
        yield server


@pytest.fixture(params=["native", "grpcio"])
def server(repository: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    flags = ("--model-control-mode=explicit", "--load-model=*", "--allow-http=false", "--allow-metrics=false")
    with serving(repository, f"--frontend={request.param}", *flags) as server:
        yield server


def request_of(model: str, identity: int) -> pb.ModelInferRequest:
    content = random.Random(identity).randbytes(4 * WIDTH)
    request = pb.ModelInferRequest(model_name=model, id=str(identity), raw_input_contents=[content])
    request.inputs.add(name="x", datatype="INT32", shape=[1, WIDTH])
    return request


async def call_one_by_one(channel: grpc.aio.Channel, traffic: Traffic, client: int) -> None:
    infer = channel.unary_unary(
        f"{SERVICE}ModelInfer", pb.ModelInferRequest.SerializeToString, pb.ModelInferResponse.FromString
    )
    number = 0
    while not traffic.is_over:
        request = request_of("copied", number * CLIENTS + client)
        try:
            traffic.take(request, await infer(request, timeout=60))
        except grpc.aio.AioRpcError as error:
            traffic.fail(request, f"{error.code().name} {error.details()}")
        number += 1


async def call_in_a_stream(channel: grpc.aio.Channel, traffic: Traffic, client: int) -> None:
    open_stream = channel.stream_stream(
        f"{SERVICE}ModelStreamInfer", pb.ModelInferRequest.SerializeToString, pb.ModelStreamInferResponse.FromString
    )
    sent: list[pb.ModelInferRequest] = []
    answered = asyncio.Semaphore(4)

    async def requests() -> AsyncIterator[pb.ModelInferRequest]:
        while not traffic.is_over:
            await answered.acquire()
            sent.append(request_of("streamed", len(sent) * CLIENTS + client))
            yield sent[-1]

    number = 0
    async for response in open_stream(requests()):
        answered.release()
        if response.error_message:
            traffic.fail(sent[number], response.error_message)
        else:
            traffic.take(sent[number], response.infer_response)
        number += 1
    if number != len(sent):
        traffic.mistakes.append(f"{len(sent)} requests in a stream had {number} answers")


async def reload_often(load: Callable[[str, int], Awaitable[None]], traffic: Traffic) -> None:
    """Reload both models RELOADS times, each time once every client can have had an answer since the last."""
    for number in range(RELOADS):
        seen = traffic.answers
        await asyncio.gather(load("copied", number), load("streamed", number))
        await traffic.until(seen + 2 * CLIENTS)


def override(number: int) -> str:
    """A config that differs from the last in what changes no answer."""
    tensor = {"data_type": "TYPE_INT32", "dims": [WIDTH]}
    return json.dumps(
        {
            "backend": "identity",
            "max_batch_size": 8,
            "input": [{"name": "x", **tensor}],
            "output": [{"name": "y", **tensor}],
            "dynamic_batching": {"max_queue_delay_microseconds": number + 1},
        }
    )


async def run(server: Server, change: Callable[[pb.RepositoryModelLoadRequest, int], None]) -> Traffic:
    traffic = Traffic()
    channels = [grpc.aio.insecure_channel(server.url, [("grpc.channel_id", number)]) for number in range(8)]
    load = channels[0].unary_unary(
        f"{SERVICE}RepositoryModelLoad",
        pb.RepositoryModelLoadRequest.SerializeToString,
        pb.RepositoryModelLoadResponse.FromString,
    )

    async def load_model(name: str, number: int) -> None:
        request = pb.RepositoryModelLoadRequest(model_name=name)
        change(request, number)
        await load(request, timeout=60)

    async with asyncio.TaskGroup() as clients:
        for client in range(CLIENTS):
            call = call_in_a_stream if client % 4 == 0 else call_one_by_one
            clients.create_task(call(channels[client % 8], traffic, client))
        try:
            await reload_often(load_model, traffic)
        finally:
            traffic.is_over = True
    for channel in channels:
        await channel.close(None)
    return traffic


def test_no_request_fails_while_configs_change(server: Server) -> None:
    traffic = asyncio.run(run(server, lambda request, number: _set_config(request, override(number))))
    assert traffic.mistakes == []
    assert traffic.answers >= RELOADS * CLIENTS
    assert traffic.versions == {"1"}
    server.signal()
    assert server.wait() == 0
    assert sum("successfully unloaded 'copied' version 1" in line for line in server.lines) == RELOADS + 1
    assert not [line for line in server.lines if "ERROR" in line or "Traceback" in line]


def test_no_request_fails_while_versions_succeed_each_other(server: Server, repository: Path) -> None:
    def add_version(request: pb.RepositoryModelLoadRequest, number: int) -> None:
        (repository / request.model_name / str(number + 2)).mkdir()

    traffic = asyncio.run(run(server, add_version))
    assert traffic.mistakes == []
    assert traffic.answers >= RELOADS * CLIENTS
    assert str(RELOADS + 1) in traffic.versions and len(traffic.versions) > RELOADS // 2


def test_no_request_over_http_fails_while_configs_change(http_server: Server) -> None:
    traffic = asyncio.run(run_over_http(http_server.http_url))
    assert traffic.mistakes == []
    assert traffic.answers >= RELOADS * CLIENTS


async def run_over_http(url: str) -> Traffic:
    traffic = Traffic()
    async with tritonclient.http.aio.InferenceServerClient(url, conn_limit=CLIENTS + 2) as client:

        async def load_model(name: str, number: int) -> None:
            await client.load_model(name, config=override(number))

        async with asyncio.TaskGroup() as clients:
            for number in range(CLIENTS):
                clients.create_task(call_over_http(client, traffic, number))
            try:
                await reload_often(load_model, traffic)
            finally:
                traffic.is_over = True
    return traffic


async def call_over_http(client: tritonclient.http.aio.InferenceServerClient, traffic: Traffic, number: int) -> None:
    sent = 0
    while not traffic.is_over:
        request = request_of("copied" if number % 2 else "streamed", sent * CLIENTS + number)
        values = np.frombuffer(request.raw_input_contents[0], np.int32).reshape(1, WIDTH)
        tensor = tritonclient.http.InferInput("x", [1, WIDTH], "INT32")
        tensor.set_data_from_numpy(values, binary_data=sent % 2 == 0)
        try:
            result = await client.infer(request.model_name, [tensor], request_id=request.id)
        except InferenceServerException as error:
            traffic.fail(request, str(error))
        else:
            about = result.get_response()
            response = pb.ModelInferResponse(
                id=about["id"],
                model_version=about["model_version"],
                raw_output_contents=[result.as_numpy("y").astype(np.int32).tobytes()],
            )
            traffic.take(request, response)
        sent += 1


def _set_config(request: pb.RepositoryModelLoadRequest, config: str) -> None:
    request.parameters["config"].string_param = config
