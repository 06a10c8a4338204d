"""The reference front end: grpc.aio, with generic handlers over the method table."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message

from npuserve.core.errors import ServeError
from npuserve.core.status import StatusCode
from npuserve.service.call import Call
from npuserve.service.methods import Method, MethodTable, StreamMethod, UnaryMethod
from npuserve.transport.calls import OpenCalls
from npuserve.transport.front_end import FrontEndError

_log = logging.getLogger(__name__)

_CODES = {StatusCode(code.value[0]): code for code in grpc.StatusCode if code.value[0] in set(StatusCode)}
_MESSAGE_LIMIT_BYTES = 2**31 - 1
_OPTIONS = [
    ("grpc.max_receive_message_length", _MESSAGE_LIMIT_BYTES),
    ("grpc.max_send_message_length", _MESSAGE_LIMIT_BYTES),
    # Without this a second server could bind the same port and take half of the connections unnoticed.
    ("grpc.so_reuseport", 0),
]
# gRPC's default limit for a header is 16 KiB; a character may take twelve bytes there, percent-encoded.
_MESSAGE_CHARACTERS = 1000
# How long connections may take to close once every call is answered.
_CLOSE_SECONDS = 1.0

# Calls that reach grpc's core while its server closes end as CANCELLED, without our refusal. Clients that were just
# answered call again at once, so the port closes only after this much silence, or after the limit if there is none.
_QUIET_SECONDS = 0.1
_QUIET_LIMIT_SECONDS = 1.0

Context = grpc.aio.ServicerContext[Any, Any]


class GrpcAioFrontEnd:
    """Serves a method table over grpc.aio on `host:port`; port 0 lets the system choose."""

    title = "GRPCInferenceService"

    def __init__(self, methods: MethodTable, *, host: str, port: int) -> None:
        self._methods = methods
        self._host = f"[{host}]" if ":" in host else host
        self._port = port
        self._calls = OpenCalls()
        self._server: grpc.aio.Server | None = None

    def __repr__(self) -> str:
        return f"<GrpcAioFrontEnd {self._host}:{self._port} open_calls={self._calls.count}>"

    async def start(self) -> str:
        """Open the port and serve. Raises FrontEndError if the port cannot be had."""
        server = grpc.aio.server(handlers=[_Handlers(self._methods, self._calls)], options=_OPTIONS)
        address = f"{self._host}:{self._port}"
        try:
            port = server.add_insecure_port(address)
        except RuntimeError as error:
            raise FrontEndError(
                f"failed to start GRPC service: Unavailable - Socket '{address}' already in use or not available"
            ) from error
        self._server = server
        await server.start()
        return f"{self._host}:{port}"

    def stop_accepting(self) -> None:
        """Refuse new calls. The port stays open until all are answered, so that each refusal says why."""
        self._calls.refuse_new()

    async def drain(self) -> None:
        """Return when every accepted call has been answered, and those that follow upon the answers refused."""
        await self._calls.wait_until_none()
        until = time.monotonic() + _QUIET_LIMIT_SECONDS
        while (quiet := self._calls.quiet_seconds()) < _QUIET_SECONDS and time.monotonic() < until:  # noqa: ASYNC110 - silence has no event
            await asyncio.sleep(_QUIET_SECONDS - quiet)

    async def stop(self) -> None:
        """Close the port and the connections."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop(_CLOSE_SECONDS if self._calls.count == 0 else None)


# At run time grpc's class takes no type arguments.
class _Handlers(grpc.GenericRpcHandler):  # type: ignore[type-arg]
    """Gives grpc a handler for every path, the unknown ones included: grpc's own refusal has details, Triton's none."""

    def __init__(self, methods: MethodTable, calls: OpenCalls) -> None:
        self._calls = calls
        self._handlers = {path: self._handler(method) for path, method in methods.items()}
        self._unknown = grpc.stream_stream_rpc_method_handler(_refuse_unknown)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any]":
        return self._handlers.get(handler_call_details.method, self._unknown)

    def _handler(self, method: Method) -> "grpc.RpcMethodHandler[Any, Any]":
        if isinstance(method, UnaryMethod):
            return grpc.unary_unary_rpc_method_handler(self._unary(method))
        return grpc.stream_stream_rpc_method_handler(self._stream(method))

    def _unary(self, method: UnaryMethod) -> Any:
        async def serve(data: bytes, context: Context) -> bytes:
            try:
                with self._calls.open():
                    response = await method.handler(_parse(method.request, data), _call(context))
                    return response.SerializeToString()
            except Exception as error:
                refusal = _refusal(method.path, error)
            # The exception that abort raises keeps this frame alive until the next full garbage collection.
            data = b""
            return await context.abort(*refusal)

        return serve

    def _stream(self, method: StreamMethod) -> Any:
        async def serve(data: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
            try:
                with self._calls.open():
                    requests = (_parse(method.request, part) async for part in data)
                    async for response in method.handler(requests, _call(context)):
                        yield response.SerializeToString()
                    return
            except Exception as error:
                refusal = _refusal(method.path, error)
            await context.abort(*refusal)

        return serve


def _refusal(path: str, error: Exception) -> tuple[grpc.StatusCode, str]:
    """Return what a failed call is answered with; only a ServeError tells the client its reason."""
    if isinstance(error, ServeError):
        return _CODES[error.status], _shortened(error.message)
    _log.error("unexpected error in %s", path, exc_info=error)
    return grpc.StatusCode.INTERNAL, "unexpected error, see the server's log"


def _shortened(message: str) -> str:
    """Return the message within what a peer's header limit carries; a client's own long names may be quoted in it."""
    if len(message) <= _MESSAGE_CHARACTERS:
        return message
    return message[: _MESSAGE_CHARACTERS - 1] + "…"


async def _refuse_unknown(requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
    await context.abort(grpc.StatusCode.UNIMPLEMENTED, "")
    yield b""


def _parse(message: type[Message], data: bytes) -> Message:
    try:
        return message.FromString(data)
    except DecodeError as error:
        raise ServeError(StatusCode.INTERNAL, "Unable to parse request") from error


def _call(context: Context) -> Call:
    remaining = context.time_remaining()
    return Call(
        deadline=None if remaining is None else time.monotonic() + remaining,
        metadata=tuple((key, value) for key, value in context.invocation_metadata() or ()),
        peer=context.peer(),
    )
