"""Triton's asyncio HTTP client against the server: many requests at once over kept connections."""

import asyncio
from typing import Any

import numpy as np
import pytest
import tritonclient.http.aio as triton
from support.server import Server
from tritonclient.utils import InferenceServerException

SECOND = np.full((1, 16), 3, dtype=np.int32)


def inputs(first: Any, *, binary: bool) -> list[Any]:
    found = []
    for name, values in (("INPUT0", first), ("INPUT1", SECOND)):
        tensor = triton.InferInput(name, list(values.shape), "INT32")
        tensor.set_data_from_numpy(values, binary_data=binary)
        found.append(tensor)
    return found


async def test_each_of_many_concurrent_requests_gets_its_own_answer(both: dict[str, Server]) -> None:
    async with triton.InferenceServerClient(both["native"].http_url, conn_limit=16) as client:

        async def ask(number: int) -> None:
            first = np.full((1, 16), number, dtype=np.int32)
            binary = bool(number % 2)
            wanted = [triton.InferRequestedOutput("OUTPUT0", binary_data=binary)]
            result = await client.infer("pair", inputs(first, binary=binary), outputs=wanted, request_id=str(number))
            assert result.get_response()["id"] == str(number)
            assert (result.as_numpy("OUTPUT0") == first + SECOND).all()

        await asyncio.gather(*(ask(number) for number in range(200)))


async def test_errors_and_health(both: dict[str, Server]) -> None:
    async with triton.InferenceServerClient(both["native"].http_url) as client:
        assert await client.is_server_ready()
        with pytest.raises(InferenceServerException, match="'nope' is not found"):
            await client.get_model_metadata("nope")
        index = await client.get_model_repository_index()
        assert {"name": "pair", "version": "1", "state": "READY"} in index
