"""The native client against servers of a few lines, whose every move is known."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from npuserve._load import Client, now_ns
from npuserve.migrate.load.histogram import Histogram

REQUEST = b"POST /v2/models/m/infer HTTP/1.1\r\nContent-Length: 4\r\n\r\nask!"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SECOND_NS = 1_000_000_000
Answer = Callable[[int], bytes | None]


@contextmanager
def server(answer: Answer) -> Iterator[int]:
    """Answer the nth request, from 0, with `answer(n)`; None closes the connection instead. Yields the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    count = iter(range(1_000_000_000))
    accepted: list[tuple[socket.socket, threading.Thread]] = []

    def serve(connection: socket.socket) -> None:
        # The client's or the test's end may come at any time.
        with connection, suppress(OSError):
            unread = b""
            while part := connection.recv(65536):
                unread += part
                while len(unread) >= len(REQUEST):
                    unread = unread[len(REQUEST) :]
                    if (reply := answer(next(count))) is None:
                        return
                    connection.sendall(reply)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            served = threading.Thread(target=serve, args=(connection,))
            accepted.append((connection, served))
            served.start()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        for connection, served in accepted:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            served.join()


def client(port: int, **changes: Any) -> Client:
    given: dict[str, Any] = {
        "address": "127.0.0.1",
        "port": port,
        "protocol": "http",
        "head": [],
        "requests": [REQUEST],
        "connections": 1,
        "concurrency": 1,
        "part": 0,
        "parts": 1,
        "kept_answers": 0,
        "per_second": None,
        "poisson": False,
        "seed": 0,
    }
    return Client(**{**given, **changes})


def run_until(loaded: Client, enough: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Run until what is counted in all is enough."""
    total: dict[str, Any] = {"answered": 0, "failures": {}, "sent": 0}
    until = time.monotonic() + 30
    while not enough(total):
        assert time.monotonic() < until, total
        loaded.run(now_ns() + SECOND_NS // 50)
        tally = loaded.take()
        total["answered"] += Histogram.of_fields(tally["latency"]).total
        total["sent"] += tally["sent"]
        for code, (count, message) in tally["failures"].items():
            before, first = total["failures"].get(code, (0, message))
            total["failures"][code] = (before + count, first)
    return total


def connected(port: int, **changes: Any) -> Client:
    loaded = client(port, **changes)
    assert loaded.connect(now_ns() + 10 * SECOND_NS) == ""
    loaded.start(now_ns())
    return loaded


def test_a_closed_loop_sends_the_next_request_when_an_answer_has_come() -> None:
    with server(lambda _: ANSWER) as port:
        loaded = connected(port)
        total = run_until(loaded, lambda found: found["answered"] >= 100)
        assert loaded.in_flight <= 1
        loaded.drain(now_ns() + 10 * SECOND_NS)
        assert loaded.in_flight == 0
        last = Histogram.of_fields(loaded.take()["latency"]).total
    assert total["answered"] + last == total["sent"]
    assert total["failures"] == {}


def test_an_open_loop_charges_a_stalled_server_for_every_request_that_was_due() -> None:
    stall = 0.5

    def answer(number: int) -> bytes:
        time.sleep(stall if number == 0 else 0)
        return ANSWER

    with server(answer) as port:
        loaded = connected(port, per_second=200.0)
        loaded.run(now_ns() + SECOND_NS)
        tally = loaded.take()
    latency, service = Histogram.of_fields(tally["latency"]), Histogram.of_fields(tally["service"])
    # Of the 100 requests that were due while the first was waited for, one was slow by itself. A closed loop would
    # have told of that one alone.
    waited = sum(count for value, count in latency.steps() if value > stall * SECOND_NS / 5)
    assert waited > 70
    assert sum(count for value, count in service.steps() if value > stall * SECOND_NS / 2) == 1


def test_how_late_an_open_loop_is_is_told_while_there_is_no_room() -> None:
    with server(lambda _: time.sleep(1) or ANSWER) as port:  # type: ignore[func-returns-value]
        loaded = connected(port, per_second=1000.0)
        loaded.run(now_ns() + SECOND_NS // 4)
        tally = loaded.take()
    assert tally["sent"] == 1
    assert tally["behind_ns"] > SECOND_NS // 5
    assert loaded.in_flight == 1


def test_errors_are_counted_by_status_with_the_first_message() -> None:
    busy = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nfull"
    with server(lambda number: busy if number % 2 else ANSWER) as port:
        total = run_until(connected(port), lambda found: found["answered"] >= 10)
    count, message = total["failures"][503]
    assert abs(count - total["answered"]) <= 1
    assert message == b"full"


def test_a_connection_that_breaks_fails_its_request_and_is_made_again() -> None:
    with server(lambda number: None if number == 3 else ANSWER) as port:
        total = run_until(connected(port), lambda found: found["answered"] >= 20)
    assert total["failures"] == {-1: (1, b"the server closed the connection")}


def test_a_connection_that_the_server_ends_between_requests_is_no_failure() -> None:
    last = ANSWER.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with server(lambda number: last if number % 3 == 2 else ANSWER) as port:
        total = run_until(connected(port), lambda found: found["answered"] >= 20)
    assert total["failures"] == {}


def test_a_server_that_goes_away_is_waited_for_and_each_try_counted() -> None:
    with server(lambda _: ANSWER) as port:
        loaded = connected(port)
        run_until(loaded, lambda found: found["answered"] >= 5)
        # An answer on its way would be read after the server's end.
        loaded.drain(now_ns() + 10 * SECOND_NS)
        assert loaded.in_flight == 0
        loaded.take()
    total = run_until(loaded, lambda found: found["failures"].get(-1, (0, b""))[0] >= 3)
    assert total["answered"] == 0


def test_what_is_not_there_is_told_when_connecting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert "refused" in client(port).connect(now_ns() + 10 * SECOND_NS)


def test_a_server_of_another_protocol_is_told_when_connecting() -> None:
    with server(lambda _: b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n" * 3) as port:
        reason = client(port, protocol="grpc", head=[(":method", "POST")]).connect(now_ns() + SECOND_NS)
    assert reason != ""


def test_requests_are_sent_in_turn_and_processes_share_them() -> None:
    seen: list[bytes] = []
    requests = [REQUEST[:-1] + bytes([letter]) for letter in b"abcd"]
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            while len(seen) < 4 and (part := connection.recv(len(REQUEST), socket.MSG_WAITALL)):
                seen.append(part[-1:])
                connection.sendall(ANSWER)

    thread = threading.Thread(target=serve)
    thread.start()
    loaded = connected(listener.getsockname()[1], requests=requests, part=1, parts=2, kept_answers=2)
    until = time.monotonic() + 30
    while len(seen) < 4 and time.monotonic() < until:
        loaded.run(now_ns() + SECOND_NS // 50)
    thread.join()
    listener.close()
    assert seen == [b"b", b"d", b"b", b"d"]
    assert loaded.answers == {1: b"ok"}


@pytest.mark.parametrize(
    "changes",
    [
        {"requests": []},
        {"connections": 0},
        {"connections": 2, "concurrency": 1},
        {"protocol": "smtp"},
        {"per_second": 0.0},
    ],
)
def test_a_client_that_could_do_nothing_cannot_be_made(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        client(1, **changes)
