"""The HTTP front end over real sockets: answers, streams, limits of clients, failures of handlers, shutdown."""

import asyncio
import contextlib
import http.client
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import h11
import pytest
import uvloop
from npuserve._wire import HttpLimits
from npuserve.config.http_options import HttpOptions
from npuserve.service.rest.exchange import HttpHandler, HttpRequest, HttpResponse
from npuserve.transport.front_end import FrontEndError
from npuserve.transport.http import HttpFrontEnd

GET = b"GET /v2 HTTP/1.1\r\nHost: a\r\n\r\n"
MS = 1_000_000


async def echo(request: HttpRequest) -> HttpResponse:
    """Tell what came."""
    headers = (("Content-Type", "text/plain"), ("X-Method", request.method), ("X-Path", request.path))
    return HttpResponse(status=201, headers=headers, body=request.body)


@asynccontextmanager
async def served(handler: HttpHandler = echo, **limits: int) -> AsyncIterator[tuple[HttpFrontEnd, int]]:
    """A started front end and its port; it is stopped at the end."""
    options = HttpOptions(address="127.0.0.1", port=0)
    front_end = HttpFrontEnd(handler, options, limits=HttpLimits(**limits))
    address = await front_end.start()
    try:
        yield front_end, int(address.rpartition(":")[2])
    finally:
        await front_end.stop()
        await front_end.release()


async def read_answer(reader: asyncio.StreamReader) -> tuple[h11.Response, bytes]:
    """The next answer, parsed by h11: its head and its body."""
    parser = h11.Connection(h11.CLIENT)
    parser.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    parser.send(h11.EndOfMessage())
    head, body = None, b""
    while True:
        event = parser.next_event()
        if event is h11.NEED_DATA:
            # Byte by byte: what is behind the answer is the next one's.
            parser.receive_data(await reader.read(1))
        elif isinstance(event, h11.Response):
            head = event
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            assert head is not None
            return head, body
        else:
            assert isinstance(event, h11.InformationalResponse), event


async def exchange(port: int, data: bytes) -> tuple[int, bytes]:
    """Send the bytes on a connection of their own; the first answer's status and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    head, body = await read_answer(reader)
    writer.close()
    await writer.wait_closed()
    return head.status_code, body


async def test_a_client_library_is_answered_on_one_connection_with_every_framing() -> None:
    def ask(port: int) -> list[tuple[int, str | None, bytes]]:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        answers = []
        for method, path, body in (
            ("GET", "/v2?q=1", None),
            ("POST", "/a%20b", b"xyz"),
            ("PUT", "/c", iter([b"12", b"3"])),
        ):
            client.request(method, path, body, {"Content-Type": "a/b"})
            with client.getresponse() as answer:
                answers.append((answer.status, answer.headers["x-path"], answer.read()))
        client.close()
        return answers

    async with served() as (_, port):
        answers = await asyncio.to_thread(ask, port)
        assert answers == [(201, "/v2", b""), (201, "/a%20b", b"xyz"), (201, "/c", b"123")]


async def test_the_handler_sees_headers_in_lower_case_joined_and_the_peer() -> None:
    seen: list[HttpRequest] = []

    async def handler(request: HttpRequest) -> HttpResponse:
        seen.append(request)
        return HttpResponse()

    async with served(handler) as (_, port):
        status, body = await exchange(port, b"GET /p?q HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nx-a:2\r\n\r\n")
    assert (status, body) == (200, b"")
    assert dict(seen[0].headers) == {"host": "a", "x-a": "1, 2"}
    assert (seen[0].method, seen[0].path) == ("GET", "/p")
    assert seen[0].peer.startswith("ipv4:127.0.0.1:")


async def test_pipelined_requests_are_answered_in_order_though_the_first_takes_longest() -> None:
    first_may_end = asyncio.Event()

    async def handler(request: HttpRequest) -> HttpResponse:
        if request.path == "/1":
            await first_may_end.wait()
        return HttpResponse(body=request.path.encode())

    async with served(handler) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(1, 5)))
        await writer.drain()
        first_may_end.set()
        assert [(await read_answer(reader))[1] for _ in range(4)] == [b"/1", b"/2", b"/3", b"/4"]
        writer.close()
        await writer.wait_closed()


async def test_a_pipeline_longer_than_what_is_held_waits_in_the_socket_and_is_answered_whole() -> None:
    requests = 20_000
    may_answer = asyncio.Event()

    async def handler(request: HttpRequest) -> HttpResponse:
        await may_answer.wait()
        return HttpResponse()

    async with served(handler) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET * requests)
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        may_answer.set()
        assert await reader.readexactly(requests * len(answer)) == answer * requests
        writer.close()
        await writer.wait_closed()


async def test_a_large_body_and_a_large_answer_come_through_whole() -> None:
    body = bytes(range(256)) * 40_000
    async with served() as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(len(body)) == body
        writer.close()
        await writer.wait_closed()


async def test_an_iterator_is_sent_in_chunks_and_waits_for_a_client_that_reads_slowly() -> None:
    produced = 0
    piece = b"x" * 100_000

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal produced
        for _ in range(400):
            produced += 1
            yield piece

    async def handler(request: HttpRequest) -> HttpResponse:
        return HttpResponse(headers=(("Content-Type", "text/event-stream"),), body=pieces())

    async with served(handler, max_unsent_bytes=200_000) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1000)
        writer.write(GET)
        await reader.readuntil(b"\r\n\r\n")
        # Far fewer than all fit between the two: the handler has to wait. It does once nothing moves any more.
        last = -1
        while produced != last:
            last = produced
            for _ in range(200):
                await asyncio.sleep(0)
        assert produced < 400
        received = 0
        while line := await reader.readline():
            size = int(line, 16)
            received += len(await reader.readexactly(size + 2)) - 2
            if size == 0:
                break
        assert received == 400 * len(piece)
        writer.close()
        await writer.wait_closed()


async def test_an_iterator_that_fails_ends_the_connection_within_the_answer(caplog: pytest.LogCaptureFixture) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        raise RuntimeError("broken")

    async def handler(request: HttpRequest) -> HttpResponse:
        return HttpResponse(body=pieces())

    async with served(handler) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET)
        with contextlib.suppress(ConnectionResetError):
            assert not (await reader.read()).endswith(b"0\r\n\r\n")
        writer.close()
    assert "unexpected error in GET /v2" in caplog.text


async def test_a_handler_that_raises_is_500_with_a_neutral_sentence_and_the_log_tells_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def handler(request: HttpRequest) -> HttpResponse:
        raise RuntimeError("secret")

    async with served(handler) as (_, port):
        status, body = await exchange(port, GET)
    assert (status, body) == (500, b'{"error":"unexpected error, see the server\'s log"}')
    assert "secret" in caplog.text


async def test_headers_that_would_split_the_answer_are_never_sent(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(request: HttpRequest) -> HttpResponse:
        return HttpResponse(headers=(("X-A", "1\r\nX-B: 2"),))

    with caplog.at_level(logging.CRITICAL):
        async with served(handler) as (_, port):
            assert (await exchange(port, GET))[0] == 500


async def test_a_client_that_goes_cancels_its_handler() -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def handler(request: HttpRequest) -> HttpResponse:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        raise AssertionError

    async with served(handler) as (front_end, port):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET)
        await started.wait()
        writer.close()
        await cancelled.wait()
        assert repr(front_end).endswith("<HttpEndpoint connections=0 open_requests=0>>")


async def test_a_refused_request_ends_its_connection_and_no_other() -> None:
    async with served() as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        status, body = await exchange(
            port, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n"
        )
        assert (status, body) == (400, b'{"error":"more than one Content-Length"}')
        writer.write(GET)
        assert (await read_answer(reader))[0].status_code == 201
        writer.close()
        await writer.wait_closed()


async def test_a_refusal_reaches_a_client_that_goes_on_sending() -> None:
    async with served(max_body_bytes=10) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n" + bytes(3_000_000))
        assert (await read_answer(reader))[0].status_code == 413
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


async def test_the_last_answer_reaches_a_client_whose_pipeline_goes_on() -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    async def slow(request: HttpRequest) -> HttpResponse:
        started.set()
        await go_on.wait()
        return HttpResponse(status=200, body=bytes(100_000))

    async with served(slow) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        # More than is held: the rest stays in the socket, and closing upon it would reset the connection.
        writer.write(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + GET * 20_000)
        await started.wait()
        go_on.set()
        head, body = await read_answer(reader)
        assert (head.status_code, len(body)) == (200, 100_000)
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


async def test_a_slow_head_is_timed_out_and_an_expected_body_is_asked_for() -> None:
    async with served(head_timeout_ns=20 * MS) as (_, port):
        status, body = await exchange(port, b"GET /v2 HT")
        assert (status, body) == (408, b'{"error":"the rest of the request head did not come in time"}')

    async with served() as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"ab")
        assert (await read_answer(reader))[1] == b"ab"
        writer.close()
        await writer.wait_closed()


async def test_connections_beyond_the_most_are_closed() -> None:
    async with served(max_connections=1) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET)
        assert (await read_answer(reader))[0].status_code == 201
        other, other_writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.suppress(ConnectionResetError):
            assert await other.read() == b""
        other_writer.close()
        writer.close()
        await writer.wait_closed()


async def test_shutdown_refuses_new_requests_closes_idle_connections_and_finishes_accepted_ones() -> None:
    started, may_end = asyncio.Event(), asyncio.Event()

    async def handler(request: HttpRequest) -> HttpResponse:
        started.set()
        await may_end.wait()
        return HttpResponse(body=b"finished")

    async with served(handler) as (front_end, port):
        idle, idle_writer = await asyncio.open_connection("127.0.0.1", port)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET)
        await started.wait()
        front_end.stop_accepting()
        assert await idle.read() == b""
        assert await exchange(port, GET) == (503, b'{"error":"Server exiting"}')
        draining = asyncio.create_task(front_end.drain())
        await asyncio.sleep(0)
        assert not draining.done()
        may_end.set()
        head, body = await read_answer(reader)
        assert body == b"finished"
        assert (b"connection", b"close") in head.headers
        await draining
        idle_writer.close()
        writer.close()
    with pytest.raises(OSError, match=r"refused|failed"):
        await asyncio.open_connection("127.0.0.1", port)


async def test_stopping_cancels_what_is_still_open() -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def handler(request: HttpRequest) -> HttpResponse:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        raise AssertionError

    async with served(handler) as (front_end, port):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET)
        await started.wait()
        await front_end.stop()
        assert cancelled.is_set()
        await front_end.stop()
        writer.close()


async def test_a_port_in_use_is_told_in_tritons_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for title, service in (("HTTPService", "HTTP"), ("Metrics Service", "Metrics")):
            front_end = HttpFrontEnd(echo, HttpOptions(address="127.0.0.1", port=port), title=title)
            text = f"failed to start {service} service: Unavailable - Socket '127.0.0.1:{port}' already in use"
            with pytest.raises(FrontEndError, match=text):
                await front_end.start()


@pytest.mark.parametrize(
    "scenario",
    [
        test_a_pipeline_longer_than_what_is_held_waits_in_the_socket_and_is_answered_whole,
        test_a_large_body_and_a_large_answer_come_through_whole,
        test_an_iterator_is_sent_in_chunks_and_waits_for_a_client_that_reads_slowly,
        test_a_client_that_goes_cancels_its_handler,
        test_a_refusal_reaches_a_client_that_goes_on_sending,
        test_the_last_answer_reaches_a_client_whose_pipeline_goes_on,
        test_shutdown_refuses_new_requests_closes_idle_connections_and_finishes_accepted_ones,
        test_stopping_cancels_what_is_still_open,
    ],
)
def test_the_transports_of_uvloop_do_the_same(scenario: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await scenario()

    uvloop.run(run())


def test_limits_are_known_by_name_and_range() -> None:
    assert HttpLimits(max_head_bytes=5000).as_dict()["max_head_bytes"] == 5000
    with pytest.raises(ValueError, match=r"max_chunks must be in range \[1, 2147483647\], got 0"):
        HttpLimits(max_chunks=0)
    with pytest.raises(TypeError, match="there is no limit 'max_fun'"):
        HttpLimits(max_fun=1)
