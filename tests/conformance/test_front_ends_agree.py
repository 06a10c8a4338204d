"""The native front end answers as the reference one: a corpus of calls to both, with the stock clients."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import grpc
import grpc.aio
import pytest
from support.call_corpus import CORPUS
from support.calls import CHANNEL_OPTIONS, call_blocking, call_on_loop
from support.server import Server
from support.triton_calls import TRITON_AIO_CALLS, TRITON_CALLS

FRONT_ENDS = ("native", "grpcio")


@pytest.fixture(scope="module")
def channels(both: dict[str, Server]) -> Iterator[dict[str, grpc.Channel]]:
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(grpc.insecure_channel(server.url, options=CHANNEL_OPTIONS))
            for name, server in both.items()
        }


@pytest.fixture
async def loop_channels(both: dict[str, Server]) -> AsyncIterator[dict[str, grpc.aio.Channel]]:
    channels = {name: grpc.aio.insecure_channel(server.url, options=CHANNEL_OPTIONS) for name, server in both.items()}
    yield channels
    for channel in channels.values():
        await channel.close(None)


@pytest.mark.parametrize("name", CORPUS)
def test_a_blocking_client_sees_the_same(channels: dict[str, grpc.Channel], name: str) -> None:
    native, reference = (call_blocking(channels[front_end], CORPUS[name]) for front_end in FRONT_ENDS)
    assert reference.code == CORPUS[name].code
    assert native == reference


@pytest.mark.parametrize("name", [name for name, case in CORPUS.items() if not case.ends_early])
async def test_an_asyncio_client_sees_the_same(loop_channels: dict[str, grpc.aio.Channel], name: str) -> None:
    native, reference = [await call_on_loop(loop_channels[front_end], CORPUS[name]) for front_end in FRONT_ENDS]
    assert reference.code == CORPUS[name].code
    assert native == reference


@pytest.mark.parametrize("name", TRITON_CALLS)
def test_tritonclient_sees_the_same(both: dict[str, Server], name: str) -> None:
    native, reference = (TRITON_CALLS[name](both[front_end].url) for front_end in FRONT_ENDS)
    assert native == reference


@pytest.mark.parametrize("name", TRITON_AIO_CALLS)
async def test_tritonclient_on_a_loop_sees_the_same(both: dict[str, Server], name: str) -> None:
    native, reference = [await TRITON_AIO_CALLS[name](both[front_end].url) for front_end in FRONT_ENDS]
    assert native == reference
