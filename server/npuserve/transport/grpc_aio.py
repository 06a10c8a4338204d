"""The reference front end: grpc.aio, with generic handlers over the method table."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio

from npuserve.config.grpc_options import GrpcOptions
from npuserve.core.status import StatusCode
from npuserve.service.call import Call
from npuserve.service.methods import Method, MethodTable, StreamMethod, UnaryMethod
from npuserve.transport.answers import parse, refusal
from npuserve.transport.calls import OpenCalls
from npuserve.transport.front_end import FrontEndError
from npuserve.transport.grpc_aio_options import channel_arguments, flags_without_effect, server_credentials
from npuserve.transport.listen import host_port

_log = logging.getLogger(__name__)

_CODES = {StatusCode(code.value[0]): code for code in grpc.StatusCode if code.value[0] in set(StatusCode)}
# How long connections may take to close once every call is answered.
_CLOSE_SECONDS = 1.0

# Calls that reach grpc's core while its server closes end as CANCELLED, without our refusal. Clients that were just
# answered call again at once, so the port closes only after this much silence, or after the limit if there is none.
_QUIET_SECONDS = 0.1
_QUIET_LIMIT_SECONDS = 1.0

Context = grpc.aio.ServicerContext[Any, Any]


class GrpcAioFrontEnd:
    """Serves a method table over grpc.aio on a port and perhaps a Unix socket.

    Raises FrontEndError if the TLS files cannot be used.
    """

    title = "GRPCInferenceService"

    def __init__(self, methods: MethodTable, options: GrpcOptions) -> None:
        self._methods = methods
        self._options = options
        self._credentials = None if options.tls is None else server_credentials(options.tls)
        self._calls = OpenCalls()
        self._server: grpc.aio.Server | None = None

    def __repr__(self) -> str:
        address = host_port(self._options.address, self._options.port)
        return f"<GrpcAioFrontEnd {address} open_calls={self._calls.count}>"

    async def start(self) -> str:
        """Open the port and serve. Raises FrontEndError if the port cannot be had."""
        options = self._options
        for flag in flags_without_effect(options.limits):
            _log.warning("%s has no effect with --frontend grpcio", flag)
        server = grpc.aio.server(handlers=[_Handlers(self._methods, self._calls)], options=channel_arguments(options))
        port = _add_port(server, host_port(options.address, options.port), self._credentials)
        address = host_port(options.address, port)
        if options.unix_socket is not None:
            _add_port(server, f"unix:{options.unix_socket}", None)
            address += f" and unix:{options.unix_socket}"
        self._server = server
        await server.start()
        return address

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

    async def release(self) -> None:
        """Nothing is left: the handlers have awaited every answer."""


def _add_port(server: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials | None) -> int:
    """Return the port that was bound. Raises FrontEndError."""
    try:
        return (
            server.add_insecure_port(address) if credentials is None else server.add_secure_port(address, credentials)
        )
    except RuntimeError as error:
        raise FrontEndError(
            f"failed to start GRPC service: Unavailable - Socket '{address}' already in use or not available"
        ) from error


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
                    response = await method.handler(parse(method.request, data), _call(context))
                    return response.SerializeToString()
            except Exception as error:
                status, message = refusal(method.path, error)
            # The exception that abort raises keeps this frame alive until the next full garbage collection.
            data = b""
            return await context.abort(_CODES[status], message)

        return serve

    def _stream(self, method: StreamMethod) -> Any:
        async def serve(data: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
            try:
                with self._calls.open():
                    requests = (parse(method.request, part) async for part in data)
                    async for response in method.handler(requests, _call(context)):
                        yield response.SerializeToString()
                    return
            except Exception as error:
                status, message = refusal(method.path, error)
            await context.abort(_CODES[status], message)

        return serve


async def _refuse_unknown(requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
    await context.abort(grpc.StatusCode.UNIMPLEMENTED, "")
    yield b""


def _call(context: Context) -> Call:
    remaining = context.time_remaining()
    return Call(
        deadline=None if remaining is None else time.monotonic() + remaining,
        metadata=tuple((key, value) for key, value in context.invocation_metadata() or ()),
        peer=context.peer(),
    )
