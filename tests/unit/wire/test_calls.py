"""Calls through `_wire`, made by another HTTP/2 implementation: what handlers are told and clients get."""

import gzip
import zlib
from collections.abc import Callable
from functools import partial

import pytest
from npuserve._wire import ServerCall
from support.h2_client import Answer, H2Client, framed
from support.wire_pair import HELD, STREAM, UNARY, wire_pair

CLOSED_WINDOW = 16


def has_messages(answer: Answer, count: int) -> bool:
    return len(answer.messages) == count


def has_grown(answer: Answer, came: int) -> bool:
    return len(answer.data) > came or answer.over


async def test_a_unary_call_is_answered_with_headers_message_and_trailers() -> None:
    async with wire_pair() as pair:
        link = pair.connect()
        answer = await link.answer(link.client.call(UNARY, b"ping"))
    assert dict(answer.headers)[":status"] == "200"
    assert dict(answer.headers)["content-type"] == "application/grpc"
    assert answer.messages == [b"ping"]
    assert answer.status == (0, "")
    assert answer.trailers and answer.ended


async def test_an_empty_message_is_a_message() -> None:
    async with wire_pair() as pair:
        link = pair.connect()
        answer = await link.answer(link.client.call(UNARY, b""))
    assert (answer.messages, answer.status) == ([b""], (0, ""))


async def test_each_message_of_a_stream_is_answered_as_it_comes() -> None:
    async with wire_pair() as pair:
        link = pair.connect()
        stream_id = link.client.start(STREAM)
        answer = link.client.answers[stream_id]
        for number in range(5):
            link.client.send(stream_id, framed(b"%d" % number))
            await link.until(partial(has_messages, answer, number + 1))
        link.client.send(stream_id, b"", end=True)
        link.client.connection.end_stream(stream_id)
        await link.answer(stream_id)
    assert answer.messages == [b"0", b"1", b"2", b"3", b"4"]
    assert answer.status == (0, "")
    assert dict(answer.trailers)["count"] == "1"


async def test_a_stream_without_messages_ends_with_its_half_close() -> None:
    async with wire_pair() as pair:
        link = pair.connect()
        answer = await link.answer(link.client.call(STREAM))
    assert (answer.messages, answer.status) == ([], (0, ""))


async def test_a_unary_call_without_a_message_is_told_so_and_not_left_open() -> None:
    async with wire_pair() as pair:
        link = pair.connect()
        answer = await link.answer(link.client.call(UNARY))
    assert answer.status == (13, "no message")


async def test_a_refusal_is_trailers_alone() -> None:
    async with wire_pair() as pair:
        link = pair.connect()
        answer = await link.answer(link.client.call("/nobody/Serves", b"x"))
    assert answer.status == (12, "")
    assert not answer.data
    assert not answer.trailers


async def test_a_handler_sees_path_metadata_peer_and_deadline() -> None:
    async with wire_pair() as pair:
        link = pair.connect()
        headers = (("key", "a"), ("x-bin", "AAH/"), ("key", "b"), ("grpc-timeout", "1H"))
        link.client.call(HELD, b"m", headers=headers)
        await link.until(lambda: pair.echo.calls)
        (call,) = pair.echo.calls
        assert (call.path, call.peer) == (HELD, "ipv4:127.0.0.1:50000")
        assert call.metadata == (("key", "a"), ("x-bin", b"\x00\x01\xff"), ("key", "b"))
        assert call.deadline is not None
        assert call.take_message() == b"m"
        assert call.take_message() is None


async def test_status_text_and_trailing_metadata_are_encoded() -> None:
    async with wire_pair() as pair:
        link = pair.connect()
        stream_id = link.client.call(HELD, b"m")
        await link.until(lambda: pair.echo.calls)
        pair.echo.calls[0].finish(9, "ü %\n", [("plain", "v"), ("x-bin", b"\x00\xff")])
        answer = await link.answer(stream_id)
    headers = dict(answer.headers)
    assert (headers["grpc-status"], headers["grpc-message"]) == ("9", "%C3%BC %25%0A")
    assert headers["plain"] == "v"
    assert headers["x-bin"].rstrip("=") == "AP8"


async def test_what_is_said_after_the_status_is_nothing() -> None:
    async with wire_pair() as pair:
        link = pair.connect()
        stream_id = link.client.call(UNARY, b"x")
        answer = await link.answer(stream_id)
        pair.echo.calls[0].send(b"late")
        pair.echo.calls[0].finish(13, "late")
        await link.answer(link.client.call(UNARY, b"y"))
    assert (answer.messages, answer.status) == ([b"x"], (0, ""))


@pytest.mark.parametrize("cut", [1, 2, 3, 7, 64])
async def test_bytes_cut_anywhere_are_the_same_calls(cut: int) -> None:
    async with wire_pair() as pair:
        link = pair.connect()
        calls = [link.client.call(UNARY, bytes([number]) * 50) for number in range(3)]
        link.flush(cut=cut)
        answers = [await link.answer(stream_id) for stream_id in calls]
    assert [answer.messages for answer in answers] == [[bytes([number]) * 50] for number in range(3)]


async def test_interleaved_messages_come_together_by_their_h2_stream() -> None:
    async with wire_pair() as pair:
        link = pair.connect()
        calls = [link.client.start(UNARY) for _ in range(10)]
        bodies = [framed(bytes([number]) * 1000) for number in range(10)]
        for begin in range(0, 1005, 201):
            for stream_id, body in zip(calls, bodies, strict=True):
                link.client.send(stream_id, body[begin : begin + 201], end=begin + 201 >= 1005)
                link.flush()
        answers = [await link.answer(stream_id) for stream_id in calls]
    assert [answer.messages for answer in answers] == [[bytes([number]) * 1000] for number in range(10)]


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_compressed_requests_are_read(encoding: str, compress: Callable[[bytes], bytes]) -> None:
    message = b"some text " * 100
    async with wire_pair() as pair:
        link = pair.connect()
        stream_id = link.client.start(UNARY, ("grpc-encoding", encoding))
        link.client.send(stream_id, framed(compress(message), compressed=True), end=True)
        answer = await link.answer(stream_id)
    assert (answer.messages, answer.status) == ([message], (0, ""))


async def test_a_small_window_of_the_client_splits_a_response() -> None:
    message = bytes(range(256)) * 4
    async with wire_pair() as pair:
        link = pair.connect(H2Client(window=CLOSED_WINDOW, acknowledge=False))
        stream_id = link.client.call(UNARY, message)
        answer = link.client.answers[stream_id]
        await link.until(lambda: len(answer.data) == CLOSED_WINDOW)
        while not answer.over:
            came = len(answer.data)
            link.client.credit(100, stream_id)
            await link.until(partial(has_grown, answer, came))
            assert len(answer.data) - came <= 100
    assert (answer.messages, answer.status) == ([message], (0, ""))


async def test_a_closed_window_of_one_call_holds_no_other_back() -> None:
    async with wire_pair() as pair:
        link = pair.connect(H2Client(window=CLOSED_WINDOW, acknowledge=False))
        held = link.client.call(UNARY, bytes(100))
        await link.until(lambda: len(link.client.answers[held].data) == CLOSED_WINDOW)
        answer = await link.answer(link.client.call(UNARY, b"small"))
        assert answer.messages == [b"small"]
        link.client.credit(1000, held)
        assert (await link.answer(held)).messages == [bytes(100)]


async def test_a_message_beyond_all_first_windows_gets_the_credit_it_needs() -> None:
    message = bytes(range(256)) * 16384
    async with wire_pair() as pair:
        link = pair.connect()
        answer = await link.answer(link.client.call(UNARY, message))
    assert answer.messages == [message]


async def test_a_client_that_resets_a_call_cancels_it_and_gets_nothing_more() -> None:
    async with wire_pair() as pair:
        link = pair.connect()
        stream_id = link.client.call(HELD, b"m")
        await link.until(lambda: pair.echo.calls)
        call: ServerCall = pair.echo.calls[0]
        link.client.reset(stream_id)
        await link.until(lambda: call.ended)
        call.send(b"late")
        call.finish(0, "")
        assert (await link.answer(link.client.call(UNARY, b"next"))).messages == [b"next"]
        assert not link.client.answers[stream_id].headers


async def test_a_call_that_is_reset_amid_its_request_leaves_nothing_behind() -> None:
    async with wire_pair() as pair:
        link = pair.connect()
        stream_id = link.client.start(UNARY)
        link.client.send(stream_id, framed(bytes(1000))[:500])
        await link.until(lambda: pair.echo.calls)
        link.client.reset(stream_id)
        await link.until(lambda: pair.endpoint.open_calls == 0 and pair.endpoint.used_memory_bytes == 0)


async def test_a_call_that_is_reset_amid_its_response_leaves_nothing_behind() -> None:
    async with wire_pair() as pair:
        link = pair.connect(H2Client(window=CLOSED_WINDOW, acknowledge=False))
        stream_id = link.client.call(UNARY, bytes(1000))
        await link.until(lambda: link.client.answers[stream_id].data)
        link.client.reset(stream_id)
        answer = await link.answer(link.client.call(UNARY, b"x"))
    assert answer.messages == [b"x"]


async def test_a_disconnect_cancels_every_call() -> None:
    async with wire_pair() as pair:
        link = pair.connect()
        for _ in range(3):
            link.client.call(HELD, b"m")
        await link.until(lambda: len(pair.echo.calls) == 3)
        link.disconnect()
        assert all(call.ended for call in pair.echo.calls)
        assert pair.endpoint.connections == 0


async def test_a_deadline_ends_the_call_on_both_sides() -> None:
    async with wire_pair() as pair:
        link = pair.connect()
        answer = await link.answer(link.client.call(HELD, b"m", headers=[("grpc-timeout", "20m")]))
        assert answer.status == (4, "Deadline Exceeded")
        assert pair.echo.calls[0].ended


async def test_a_deadline_that_has_passed_reaches_no_handler_with_work_to_do() -> None:
    async with wire_pair() as pair:
        link = pair.connect()
        answer = await link.answer(link.client.call(UNARY, b"m", headers=[("grpc-timeout", "0n")]))
    assert answer.status == (4, "Deadline Exceeded")
    assert not answer.data
