"""The bounds of the wire, each exceeded by another HTTP/2 implementation."""

import struct

import pytest
from h2.errors import ErrorCodes
from hyperframe.frame import PingFrame
from npuserve._wire import Limits
from support.h2_client import H2Client, framed, frames, goaways
from support.wire_pair import HELD, STREAM, UNARY, wire_pair

MILLISECOND = 1_000_000
MIB = 2**20


async def test_a_message_over_the_limit_is_refused_by_its_prefix() -> None:
    async with wire_pair(max_message_bytes=1000) as pair:
        link = pair.connect()
        stream_id = link.client.start(UNARY)
        link.client.send(stream_id, struct.pack(">BI", 0, 1001))
        answer = await link.answer(stream_id)
        assert answer.status == (8, "SERVER: Received message larger than max (1001 vs. 1000)")
        assert (await link.answer(link.client.call(UNARY, bytes(1000)))).messages == [bytes(1000)]


async def test_headers_over_the_limit_are_refused() -> None:
    async with wire_pair(max_header_list_bytes=2000) as pair:
        link = pair.connect()
        answer = await link.answer(link.client.call(UNARY, b"m", headers=[("key", "x" * 2000)]))
        assert answer.status[0] == 8
        assert (await link.answer(link.client.call(UNARY, b"m"))).messages == [b"m"]
        assert len(pair.echo.calls) == 1


async def test_calls_over_the_limit_are_refused_unprocessed() -> None:
    async with wire_pair(max_concurrent_streams=2) as pair:
        client = H2Client()
        # Said before the client has heard of the limit.
        calls = [client.call(HELD, b"m") for _ in range(3)]
        link = pair.connect(client)
        assert (await link.answer(calls[2])).reset == ErrorCodes.REFUSED_STREAM
        assert len(pair.echo.calls) == 2
        assert client.connection.remote_settings.max_concurrent_streams == 2


async def test_connections_over_the_limit_are_dropped() -> None:
    async with wire_pair(max_connections=2) as pair:
        first, second = pair.connect(), pair.connect()
        third = pair.connect_raw()
        await pair.until(lambda: third.closed)
        assert pair.endpoint.connections == 2
        first.disconnect()
        fourth = pair.connect()
        assert (await fourth.answer(fourth.client.call(UNARY, b"m"))).messages == [b"m"]
        assert not second.closed


async def test_rapid_resets_are_enhance_your_calm() -> None:
    async with wire_pair(max_resets_per_second=10) as pair:
        client = H2Client()
        for _ in range(100):
            client.reset(client.start(HELD))
        link = pair.connect_raw()
        link.deliver(client.output())
        await pair.until(lambda: link.closed)
        assert goaways(bytes(link.written)) == [ErrorCodes.ENHANCE_YOUR_CALM]
        assert pair.endpoint.open_calls == 0


async def test_pings_are_answered() -> None:
    async with wire_pair() as pair:
        link = pair.connect()
        link.client.call(HELD, b"m")
        link.client.connection.ping(b"12345678")
        await link.until(lambda: link.client.ping_answers == [b"12345678"])


async def test_too_many_pings_are_enhance_your_calm() -> None:
    async with wire_pair(max_ping_strikes=2) as pair:
        link = pair.connect()
        link.client.call(HELD, b"m")
        for number in range(10):
            link.client.connection.ping(number.to_bytes(8, "big"))
        await link.until(lambda: link.closed)
        assert link.client.goaway is not None
        assert link.client.goaway.error_code == ErrorCodes.ENHANCE_YOUR_CALM
        assert link.client.goaway.additional_data == b"too_many_pings"


async def test_a_silent_client_is_pinged_and_dropped_if_it_does_not_answer() -> None:
    limits = {"keepalive_time_ns": 20 * MILLISECOND, "keepalive_timeout_ns": 20 * MILLISECOND}
    async with wire_pair(**limits, keepalive_permit_without_calls=1, max_pings_without_data=0) as pair:
        link = pair.connect_raw()
        link.deliver(H2Client().output())
        await pair.until(lambda: link.closed)
    assert any(isinstance(frame, PingFrame) for frame in frames(bytes(link.written)))


async def test_a_connection_without_a_preface_is_dropped_in_time() -> None:
    async with wire_pair(handshake_timeout_ns=20 * MILLISECOND) as pair:
        link = pair.connect_raw()
        await pair.until(lambda: link.closed)


async def test_an_idle_connection_is_asked_to_leave() -> None:
    async with wire_pair(max_connection_idle_ns=20 * MILLISECOND) as pair:
        link = pair.connect()
        await link.until(lambda: link.client.goaway)
        assert link.client.goaway is not None
        assert link.client.goaway.error_code == ErrorCodes.NO_ERROR


async def test_an_old_connection_is_asked_to_leave_and_its_calls_end_with_the_grace() -> None:
    async with wire_pair(max_connection_age_ns=20 * MILLISECOND, max_connection_age_grace_ns=20 * MILLISECOND) as pair:
        client = H2Client()
        client.call(HELD, b"m")
        link = pair.connect(client)
        await link.until(lambda: link.closed)
        assert client.goaway is not None
        assert pair.echo.calls[0].ended


async def test_a_message_that_stops_growing_ends_its_call() -> None:
    async with wire_pair(slow_writer_timeout_ns=20 * MILLISECOND) as pair:
        link = pair.connect()
        stream_id = link.client.start(UNARY)
        link.client.send(stream_id, framed(bytes(1000))[:100])
        answer = await link.answer(stream_id)
        assert answer.status[0] == 4
        assert pair.endpoint.used_memory_bytes == 0


async def test_a_client_that_takes_nothing_is_dropped() -> None:
    async with wire_pair(slow_reader_timeout_ns=20 * MILLISECOND) as pair:
        link = pair.connect()
        link.flush()
        link.pause_writing()
        stream_id = link.client.call(UNARY, b"m")
        link.flush()
        await pair.until(lambda: link.closed)
        assert link.transport.aborted
        assert not link.client.answers[stream_id].headers


async def test_responses_stay_with_their_calls_while_the_transport_is_full() -> None:
    async with wire_pair() as pair:
        link = pair.connect()
        first = await link.answer(link.client.call(UNARY, b"before"))
        assert first.messages == [b"before"]
        link.pause_writing()
        written = len(link.written)
        stream_id = link.client.call(STREAM, *[bytes(1000)] * 20)
        await link.until(lambda: len(pair.echo.calls) == 2)
        assert len(link.written) == written
        link.resume_writing()
        assert (await link.answer(stream_id)).messages == [bytes(1000)] * 20


async def test_large_messages_wait_for_room_in_the_budget() -> None:
    async with wire_pair(memory_budget_bytes=3 * MIB) as pair:
        link = pair.connect()
        first = link.client.call(HELD, bytes(2 * MIB))
        await link.until(lambda: link.client.unsent(first) == 0)
        second = link.client.call(HELD, bytes(2 * MIB))
        # The server has read what came of it, as the ping behind it is answered; no credit came.
        link.client.connection.ping(b"12345678")
        await link.until(lambda: link.client.ping_answers)
        assert link.client.unsent(second) >= 2 * MIB - 2 * 65536
        assert pair.endpoint.used_memory_bytes < 3 * MIB
        call = pair.echo.calls[0]
        assert call.take_message() == bytes(2 * MIB)
        call.finish(0, "")
        await link.until(lambda: link.client.unsent(second) == 0)
        assert pair.echo.calls[1].take_message() == bytes(2 * MIB)


async def test_too_many_calls_that_wait_for_room_are_refused() -> None:
    async with wire_pair(memory_budget_bytes=3 * MIB, max_waiting_calls=1) as pair:
        link = pair.connect()
        calls = [link.client.start(HELD) for _ in range(3)]
        for stream_id in calls:
            link.client.send(stream_id, struct.pack(">BI", 0, 2 * MIB))
        answer = await link.answer(calls[2])
        assert answer.status[0] == 8
        assert not any(link.client.answers[stream_id].over for stream_id in calls[:2])


@pytest.mark.parametrize(("name", "value"), [("max_connections", 0), ("max_ping_strikes", -1)])
def test_a_limit_out_of_range_is_named(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=name):
        Limits(**{name: value})
    with pytest.raises(TypeError, match="no limit 'nope'"):
        Limits(nope=1)
