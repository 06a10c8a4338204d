"""What Python the server runs for a ModelInfer whose model has a route: none of its own."""

import asyncio
import mmap
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator, MutableMapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import grpc
import npuserve
import pytest
from npuserve._proto.inference_pb2 import InferParameter, ModelInferRequest, ModelInferResponse, ServerLiveRequest
from npuserve.config.grpc_options import GrpcOptions
from npuserve.core.status import StatusCode
from npuserve.execution.identity import IdentityBackend
from npuserve.observability.requests import FinishedRequest, RequestObserver
from npuserve.repository.loading import ModelLoader
from npuserve.repository.registry import ModelRegistry
from npuserve.service.inference import InferenceService
from npuserve.service.regions import SharedMemoryRegions
from npuserve.service.routes import INFER_PATH, InferRoutes
from npuserve.service.table import TableOptions, method_table
from npuserve.transport.wire import WireFrontEnd

LIVE_PATH = "/inference.GRPCInferenceService/ServerLive"
PACKAGE = str(Path(npuserve.__file__).parent)
CONFIG = """
backend: "identity"
max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: 4 }
output { name: "y" data_type: TYPE_FP32 dims: 4 }
dynamic_batching { }
"""


@asynccontextmanager
async def serving(
    repository: Path, observer: RequestObserver | None = None, regions: SharedMemoryRegions | None = None
) -> AsyncIterator[tuple[WireFrontEnd, str]]:
    """The native front end over a real registry with the model `copy`; its address."""
    regions = SharedMemoryRegions() if regions is None else regions
    (repository / "copy" / "1").mkdir(parents=True)
    (repository / "copy" / "config.pbtxt").write_text(CONFIG)
    registry = ModelRegistry(ModelLoader({"identity": IdentityBackend()}))
    await registry.load_all([repository])
    inference = InferenceService()
    inference.serve(registry)
    methods = method_table(registry, inference, TableOptions(server_id="npuserve", server_version="1", regions=regions))
    options = GrpcOptions(frontend="native", address="127.0.0.1", port=0)
    front_end = WireFrontEnd(methods, InferRoutes(registry), options, observer, regions=regions)
    try:
        yield front_end, await front_end.start()
    finally:
        await front_end.stop()
        await registry.close()
        await front_end.release()


@contextmanager
def counted_calls() -> Iterator[list[str]]:
    """The names of the package's Python functions that this thread, the loop's, calls meanwhile."""
    calls: list[str] = []

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            calls.append(frame.f_code.co_qualname)

    sys.setprofile(note)
    try:
        yield calls
    finally:
        sys.setprofile(None)


def infer(channel: grpc.Channel, requests: int) -> int:
    """Send so many at once; return how many came back as they went."""
    request = ModelInferRequest(model_name="copy", raw_input_contents=[bytes(range(16))])
    request.inputs.add(name="x", datatype="FP32", shape=[1, 4])
    call = channel.unary_unary(INFER_PATH, ModelInferRequest.SerializeToString, ModelInferResponse.FromString)
    answers = [call.future(request, timeout=60) for _ in range(requests)]
    return sum(list(answer.result().raw_output_contents) == [bytes(range(16))] for answer in answers)


async def test_a_routed_model_infer_runs_no_python_function_of_the_server(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, address):
        with grpc.insecure_channel(address) as channel:
            assert await asyncio.to_thread(infer, channel, 1) == 1
            with counted_calls() as calls:
                assert await asyncio.to_thread(infer, channel, 200) == 200
            assert calls == []
            live = channel.unary_unary(LIVE_PATH, ServerLiveRequest.SerializeToString, None)
            with counted_calls() as calls:
                await asyncio.to_thread(live, ServerLiveRequest(), timeout=60)
            assert "HealthService.server_live" in calls


class Observer:
    """Keeps what it is told of."""

    def __init__(self, *, wants_all: bool) -> None:
        self.wants_all = wants_all
        self.slow_ns = 0
        self.told: list[FinishedRequest] = []
        self.raises = False

    def observe(self, request: FinishedRequest) -> None:
        self.told.append(request)
        if self.raises:
            raise ArithmeticError


def infer_once(channel: grpc.Channel, content: bytes) -> grpc.StatusCode:
    request = ModelInferRequest(model_name="copy", id="seven", raw_input_contents=[content])
    request.inputs.add(name="x", datatype="FP32", shape=[1, 4])
    call = channel.unary_unary(INFER_PATH, ModelInferRequest.SerializeToString, None)
    try:
        call(request, timeout=60, metadata=(("traceparent", "00-1-2-01"),))
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    return grpc.StatusCode.OK


async def test_an_observer_that_raises_costs_no_connection_and_no_answer(tmp_path: Path) -> None:
    observer = Observer(wants_all=True)
    observer.raises = True
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    async with serving(tmp_path, observer) as (_, address):
        with grpc.insecure_channel(address) as channel:
            assert await asyncio.to_thread(infer_once, channel, bytes(16)) is grpc.StatusCode.OK
            assert await asyncio.to_thread(infer_once, channel, bytes(15)) is grpc.StatusCode.INVALID_ARGUMENT
    assert len(observer.told) == 2
    assert {context["message"] for context in reported} == {"an observer of requests failed"}
    assert {type(context["exception"]) for context in reported} == {ArithmeticError}


async def test_an_observer_is_told_of_routed_requests_while_it_wants_to_be(tmp_path: Path) -> None:
    observer = Observer(wants_all=False)
    async with serving(tmp_path, observer) as (front_end, address):
        with grpc.insecure_channel(address) as channel:
            assert await asyncio.to_thread(infer_once, channel, bytes(16)) is grpc.StatusCode.OK
            assert observer.told == []
            observer.wants_all = True
            front_end.ask_observer()
            before_ns = time.monotonic_ns()
            assert await asyncio.to_thread(infer_once, channel, bytes(16)) is grpc.StatusCode.OK
            assert await asyncio.to_thread(infer_once, channel, bytes(15)) is grpc.StatusCode.INVALID_ARGUMENT
    answered, refused = observer.told
    assert (answered.model, answered.version, answered.id, answered.front_end) == ("copy", "1", "seven", "grpc")
    assert (answered.status, answered.message, answered.trace_parent) == (StatusCode.OK, "", "00-1-2-01")
    timing = answered.timing
    assert timing is not None
    assert (timing.batch_id, timing.gear, timing.batch_rows) == (2, 0, 1)
    instants = [before_ns, answered.started_ns, timing.arrival_ns, timing.start_ns, timing.gathered_ns]
    instants += [timing.d2h_end_ns, timing.scattered_ns, answered.ended_ns, time.monotonic_ns()]
    assert instants == sorted(instants)
    assert (refused.status, refused.timing, refused.trace_parent) == (StatusCode.INVALID_ARGUMENT, None, "00-1-2-01")
    assert refused.message.startswith("[request id: seven] input byte size mismatch")


@contextmanager
def shared_object() -> Iterator[Path]:
    """A shared memory object of two pages, with a row at its start."""
    path = Path(f"/dev/shm/npuserve_hot_{os.getpid()}")
    path.write_bytes(bytes(range(16)).ljust(2 * mmap.PAGESIZE, b"\0"))
    try:
        yield path
    finally:
        path.unlink()


def refer(parameters: MutableMapping[str, InferParameter], offset: int) -> None:
    parameters["shared_memory_region"].string_param = "r"
    parameters["shared_memory_offset"].int64_param = offset
    parameters["shared_memory_byte_size"].int64_param = 16


def infer_shared(channel: grpc.Channel) -> ModelInferResponse:
    """Ask for the row in region `r` to come back at its second page. Raises grpc.RpcError."""
    request = ModelInferRequest(model_name="copy")
    refer(request.inputs.add(name="x", datatype="FP32", shape=[1, 4]).parameters, 0)
    refer(request.outputs.add(name="y").parameters, mmap.PAGESIZE)
    call = channel.unary_unary(INFER_PATH, ModelInferRequest.SerializeToString, ModelInferResponse.FromString)
    answer: ModelInferResponse = call(request, timeout=60)
    return answer


async def refused_shared(channel: grpc.Channel) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as caught:
        await asyncio.to_thread(infer_shared, channel)
    code: grpc.StatusCode = caught.value.code()
    return code


async def test_shared_memory_runs_no_python_function_until_it_is_to_be_refused(tmp_path: Path) -> None:
    regions = SharedMemoryRegions()
    async with serving(tmp_path, regions=regions) as (_, address):
        with shared_object() as memory, grpc.insecure_channel(address) as channel:
            assert await asyncio.to_thread(infer, channel, 1) == 1
            regions.register("r", memory.name, 0, 2 * mmap.PAGESIZE)
            with counted_calls() as calls:
                answer = await asyncio.to_thread(infer_shared, channel)
            assert calls == []
            assert list(answer.raw_output_contents) == [b""]
            assert memory.read_bytes()[mmap.PAGESIZE :][:16] == bytes(range(16))
            regions.unregister("r")
            with counted_calls() as calls:
                assert await refused_shared(channel) is grpc.StatusCode.NOT_FOUND
            assert "SharedMemoryRegions.memory" in calls


async def test_who_may_not_share_memory_is_refused_though_the_region_is_there(tmp_path: Path) -> None:
    regions = SharedMemoryRegions(allow=False)
    async with serving(tmp_path, regions=regions) as (_, address):
        with shared_object() as memory, grpc.insecure_channel(address) as channel:
            regions.register("r", memory.name, 0, 2 * mmap.PAGESIZE)
            assert await refused_shared(channel) is grpc.StatusCode.UNIMPLEMENTED
            assert memory.read_bytes()[mmap.PAGESIZE :] == bytes(mmap.PAGESIZE)
