"""The end of an endpoint: new calls refused, open ones answered, connections closed."""

import asyncio
from typing import Any

import pytest
from h2.errors import ErrorCodes
from support.wire_pair import HELD, UNARY, wire_pair

UNAVAILABLE = 14


async def test_new_calls_are_refused_and_open_ones_answered() -> None:
    async with wire_pair() as pair:
        link = pair.connect()
        held = link.client.call(HELD, b"m")
        await link.until(lambda: pair.echo.calls)
        # Made before the client can know that the server is leaving.
        late = link.client.call(UNARY, b"late")
        pair.endpoint.refuse_new_calls(UNAVAILABLE, "leaving")
        answer = await link.answer(late)
        assert answer.status == (UNAVAILABLE, "leaving")
        assert link.client.goaway is not None
        assert link.client.goaway.error_code == ErrorCodes.NO_ERROR
        pair.echo.calls[0].finish(0, "")
        await pair.endpoint.wait_until_no_calls()
        assert link.client.answers[held].over


async def test_an_endpoint_that_shuts_down_closes_connections_once_their_calls_are_answered() -> None:
    async with wire_pair() as pair:
        idle, busy = pair.connect(), pair.connect()
        held = busy.client.call(HELD, b"m")
        await busy.until(lambda: pair.echo.calls)
        pair.endpoint.shut_down()
        await pair.until(lambda: idle.closed)
        assert not busy.closed
        pair.echo.calls[0].send(b"last")
        pair.echo.calls[0].finish(0, "")
        await pair.endpoint.wait_until_no_connections()
        assert busy.client.answers[held].messages == [b"last"]


async def test_an_endpoint_that_aborts_cancels_open_calls() -> None:
    async with wire_pair() as pair:
        link = pair.connect()
        link.client.call(HELD, b"m")
        await link.until(lambda: pair.echo.calls)
        pair.endpoint.abort()
        await pair.until(lambda: pair.echo.calls[0].ended)
        assert link.closed


async def test_a_connection_that_cannot_be_written_to_takes_no_other_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(data: bytes) -> None:
        raise MemoryError

    seen: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: seen.append(context))
    async with wire_pair() as pair:
        broken, whole = pair.connect(), pair.connect()
        for link in (broken, whole):
            link.client.call(HELD, b"m")
        await pair.until(lambda: len(pair.echo.calls) == 2)
        monkeypatch.setattr(broken.client, "receive", fail)
        pair.endpoint.refuse_new_calls(UNAVAILABLE, "leaving")
        await pair.until(lambda: whole.client.goaway is not None)
        assert broken.transport.aborted
        assert [type(context["exception"]) for context in seen] == [MemoryError]
        await pair.until(lambda: pair.echo.calls[0].ended)
        pair.echo.calls[1].finish(0, "")
