"""The end of an endpoint: new calls refused, open ones answered, connections closed."""

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
