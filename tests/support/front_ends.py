"""Both front ends over one method table, on a free port of this process."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from npuserve._proto.inference_pb2 import ServerLiveRequest, ServerLiveResponse
from npuserve.config.grpc_options import GrpcOptions
from npuserve.service.methods import Method, MethodTable, StreamHandler, StreamMethod, UnaryHandler, UnaryMethod
from npuserve.service.routes import InferRoute
from npuserve.transport.front_end import FrontEnd
from npuserve.transport.grpc_aio import GrpcAioFrontEnd
from npuserve.transport.wire import WireFrontEnd

UNARY = "/a.B/Unary"
STREAM = "/a.B/Stream"


class NoRoutes:
    """Every ModelInfer goes through Python."""

    def watch(self, watcher: Callable[[], None]) -> None:
        pass

    def current(self) -> Sequence[InferRoute]:
        return ()


def make_front_end(kind: str, *methods: Method, **options: Any) -> FrontEnd:
    """A front end of a kind (native, grpcio) that serves the methods."""
    given: dict[str, Any] = {"address": "127.0.0.1", "port": 0} | options
    chosen = GrpcOptions(frontend=kind, **given)
    if kind == "grpcio":
        return GrpcAioFrontEnd(MethodTable(list(methods)), chosen)
    return WireFrontEnd(MethodTable(list(methods)), NoRoutes(), chosen)


@asynccontextmanager
async def served(kind: str, *methods: Method, **options: Any) -> AsyncIterator[tuple[FrontEnd, str]]:
    """A started front end and its address; it is stopped at the end."""
    front_end = make_front_end(kind, *methods, **options)
    address = await front_end.start()
    try:
        yield front_end, address
    finally:
        await front_end.stop()
        await front_end.release()


def unary(handler: UnaryHandler) -> UnaryMethod:
    """The handler at UNARY."""
    return UnaryMethod(UNARY, ServerLiveRequest, ServerLiveResponse, handler)


def stream(handler: StreamHandler) -> StreamMethod:
    """The handler at STREAM."""
    return StreamMethod(STREAM, ServerLiveRequest, ServerLiveResponse, handler)
