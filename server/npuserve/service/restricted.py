"""Keeps groups of gRPC calls for clients that show a key, as Triton's restricted protocols do."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

from google.protobuf.message import Message

from npuserve.config.restricted import Key, Restrictions
from npuserve.core.errors import ServeError
from npuserve.core.status import StatusCode
from npuserve.service.call import Call
from npuserve.service.methods import Method, MethodTable, StreamHandler, UnaryHandler, UnaryMethod

HEADER_PREFIX = "triton-grpc-protocol-"

_GROUPS: Mapping[str, tuple[str, ...]] = {
    "health": ("ServerLive", "ServerReady", "ModelReady", "Check", "Watch"),
    "metadata": ("ServerMetadata", "ModelMetadata"),
    "inference": ("ModelInfer", "ModelStreamInfer"),
    "shared-memory": (
        "SystemSharedMemoryStatus",
        "SystemSharedMemoryRegister",
        "SystemSharedMemoryUnregister",
        "CudaSharedMemoryStatus",
        "CudaSharedMemoryRegister",
        "CudaSharedMemoryUnregister",
    ),
    "model-config": ("ModelConfig",),
    "model-repository": ("RepositoryIndex", "RepositoryModelLoad", "RepositoryModelUnload"),
    "statistics": ("ModelStatistics",),
    "trace": ("TraceSetting",),
    "logging": ("LogSettings",),
}


def restricted(methods: MethodTable, restrictions: Restrictions) -> MethodTable:
    """Return the table with the restricted methods asking for their key first."""
    keys = {rpc: key for group, key in restrictions.keys.items() for rpc in _GROUPS[group]}
    return MethodTable([_restricted(method, keys.get(path.rpartition("/")[2])) for path, method in methods.items()])


def _restricted(method: Method, key: Key | None) -> Method:
    if key is None:
        return method
    if isinstance(method, UnaryMethod):
        return replace(method, handler=_unary(method.handler, key))
    return replace(method, handler=_stream(method.handler, key))


def _unary(handler: UnaryHandler, key: Key) -> UnaryHandler:
    async def checked(request: Any, call: Call) -> Message:
        _check(call, key)
        return await handler(request, call)

    return checked


def _stream(handler: StreamHandler, key: Key) -> StreamHandler:
    async def checked(requests: AsyncIterator[Any], call: Call) -> AsyncIterator[Message]:
        _check(call, key)
        async for response in handler(requests, call):
            yield response

    return checked


def _check(call: Call, key: Key) -> None:
    """Raise ServeError (UNAVAILABLE, as Triton) unless the call shows the key."""
    header = HEADER_PREFIX + key.header
    if (header, key.value) not in call.metadata:
        raise ServeError(StatusCode.UNAVAILABLE, f"This protocol is restricted, expecting header '{header}'")
