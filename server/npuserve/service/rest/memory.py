"""Shared memory over HTTP: register, status, unregister, of system memory and of CUDA's."""

import base64
import binascii

from npuserve.config.message_json import message_json
from npuserve.core.errors import ServeError, invalid
from npuserve.core.status import StatusCode
from npuserve.service.rest.answers import EMPTY, json_response
from npuserve.service.rest.calls import RpcCalls
from npuserve.service.rest.exchange import HttpRequest, HttpResponse
from npuserve.service.rest.json_text import parse_json
from npuserve.service.rest.members import as_string, as_unsigned, find, member

_SIGNED = 2**63


class MemoryHandlers:
    """Answers for the regions of one kind of memory, `System` or `Cuda`."""

    def __init__(self, calls: RpcCalls, kind: str) -> None:
        self._calls = calls
        self._kind = kind

    async def status(self, http: HttpRequest, region: str) -> HttpResponse:
        """Describe one region, or all by name. Raises ServeError."""
        response = await self._calls.call(f"{self._kind}SharedMemoryStatus", http, name=region)
        return json_response([message_json(found) for _, found in sorted(response.regions.items())])

    async def register(self, http: HttpRequest, region: str) -> HttpResponse:
        """Register a region. Raises ServeError."""
        if not region:
            raise invalid(f"'region name' is necessary to register {self._kind.lower()} shared memory region")
        read = _system_fields if self._kind == "System" else _cuda_fields
        fields = read(parse_json(http.body))
        await self._calls.call(f"{self._kind}SharedMemoryRegister", http, name=region, **fields)
        return EMPTY

    async def unregister(self, http: HttpRequest, region: str) -> HttpResponse:
        """Forget one region, or all. Raises ServeError."""
        await self._calls.call(f"{self._kind}SharedMemoryUnregister", http, name=region)
        return EMPTY


def _system_fields(document: object) -> dict[str, object]:
    _require(document, "key")
    key = as_string(find(document, "key"))
    offset = find(document, "offset")
    _require(document, "byte_size")
    return {
        "key": key,
        "offset": 0 if offset is None else as_unsigned(offset),
        "byte_size": as_unsigned(find(document, "byte_size")),
    }


def _cuda_fields(document: object) -> dict[str, object]:
    _require(document, "raw_handle")
    handle = as_string(member(find(document, "raw_handle"), "b64"))
    device, byte_size = (as_unsigned(member(document, key)) for key in ("device_id", "byte_size"))
    if device >= _SIGNED:
        raise ServeError(StatusCode.INTERNAL, "attempt to access JSON non-signed-integer as signed-integer")
    try:
        raw_handle = base64.b64decode(handle, validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid("'raw_handle' must be a valid base64 encoded cudaIpcMemHandle_t") from error
    return {"raw_handle": raw_handle, "device_id": device, "byte_size": byte_size}


def _require(document: object, key: str) -> None:
    if find(document, key) is None:
        raise invalid(f"Shared memory register request has no '{key}' field")
