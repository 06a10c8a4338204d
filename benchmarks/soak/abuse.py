"""Clients on raw sockets whose requests are well-formed, but who are slow, interleave, or leave at a bad moment."""

from benchmarks.grpc_bytes import INFER, SERVER_LIVE, framed
from benchmarks.soak.load import Load
from benchmarks.soak.models import request_bytes
from benchmarks.soak.raw_connection import RawConnection, connected

TOGETHER = 16
SLOW_PIECES = 8


class Request:
    """One request of a raw client, from its bytes to its entry in the ledger."""

    def __init__(self, load: Load, model: str) -> None:
        self._load = load
        self._model, self._payload, self._identifier = model, load.payloads.take(model), load.identifier()
        self.body = framed(request_bytes(model, self._payload, self._identifier))

    def sent(self) -> None:
        """Note it, before its last byte leaves."""
        self._load.ledger.send(self._model)

    async def check(self, connection: RawConnection, stream_id: int) -> None:
        """Read the answer and note it."""
        answer = await connection.finish(stream_id)
        self._load.ledger.answer(self._model, answer.mistake(self._model, self._payload, self._identifier))

    def give_up(self) -> None:
        """Note that its client has left."""
        self._load.ledger.give_up(self._model)


async def ask(load: Load, connection: RawConnection, model: str) -> None:
    """Do one whole call."""
    request = Request(load, model)
    stream_id = await connection.start_call(INFER)
    request.sent()
    await connection.send(stream_id, request.body)
    await request.check(connection, stream_id)


async def live(connection: RawConnection) -> None:
    """Do one whole ServerLive call: when it is answered, the server has seen all that was sent before."""
    stream_id = await connection.start_call(SERVER_LIVE)
    await connection.send(stream_id, framed(b""))
    await connection.finish(stream_id)


async def interleaved(load: Load) -> None:
    """Calls whose messages come in pieces between each other; each is answered by one message and one status."""
    async with connected(load) as connection:
        calls = []
        for number in range(TOGETHER):
            request = Request(load, "mixed" if number % 2 else "exact")
            stream_id, cut = await connection.start_call(INFER), load.random.randrange(len(request.body))
            await connection.send(stream_id, request.body[:cut], end=False)
            calls.append((request, stream_id, cut))
        load.random.shuffle(calls)
        for request, stream_id, cut in calls:
            request.sent()
            await connection.send(stream_id, request.body[cut:])
        for request, stream_id, _ in calls:
            await request.check(connection, stream_id)


async def slow_writer(load: Load) -> None:
    """A message in pieces, with a call of its own after each, so that the server has surely met each piece alone."""
    async with connected(load) as connection:
        request = Request(load, "medium")
        stream_id = await connection.start_call(INFER)
        size = (len(request.body) - 1) // SLOW_PIECES  # some of it is left for the end: what is whole may be answered
        for piece in range(SLOW_PIECES):
            await connection.send(stream_id, request.body[piece * size : (piece + 1) * size], end=False)
            await live(connection)
            await load.rest()
        request.sent()
        await connection.send(stream_id, request.body[SLOW_PIECES * size :])
        await request.check(connection, stream_id)


async def slow_reader(load: Load) -> None:
    """A client that lets the server send only a little at a time."""
    async with connected(load, window=4096) as connection:
        request = Request(load, "medium")
        stream_id = await connection.start_call(INFER)
        request.sent()
        await connection.send(stream_id, request.body)
        connection.credit = False
        while not connection.exchanges[stream_id].ends:
            await connection.read()
            await load.rest()
            await connection.return_credit()
        await request.check(connection, stream_id)


async def never_reader(load: Load) -> None:
    """Large requests whose answers nobody reads, and then the client is gone."""
    async with connected(load) as connection:
        requests = [Request(load, "large") for _ in range(2)]
        for request in requests:
            stream_id = await connection.start_call(INFER)
            request.sent()
            await connection.send(stream_id, request.body)
        await other_client(load)
        for _ in range(SLOW_PIECES):
            await load.rest()
        for request in requests:
            request.give_up()
        connection.abort()


async def torn(load: Load) -> None:
    """A large message that ends in its midst by a TCP reset; also between prefix and message, and in the headers."""
    for part in (0, 3, 5, 100, load.random.randrange(1 << 24)):
        async with connected(load) as connection:
            stream_id = await connection.start_call(INFER)
            await connection.send(stream_id, Request(load, "large").body[:part], end=False)
            connection.abort()


async def left(load: Load) -> None:
    """Whole requests whose client is gone before their answers."""
    async with connected(load) as connection:
        for _ in range(TOGETHER):
            request = Request(load, "mixed")
            stream_id = await connection.start_call(INFER)
            request.sent()
            await connection.send(stream_id, request.body)
            request.give_up()
        connection.abort()


async def reset(load: Load) -> None:
    """Calls that are reset in the midst of their message or behind it, on a connection that goes on."""
    async with connected(load) as connection:
        for part in (0, 4, 200, 300_000, 8_000_000):
            stream_id = await connection.start_call(INFER)
            await connection.send(stream_id, Request(load, "large").body[:part], end=False)
            await connection.reset(stream_id)
        for _ in range(4):
            request = Request(load, "mixed")
            stream_id = await connection.start_call(INFER)
            request.sent()
            await connection.send(stream_id, request.body)
            await connection.reset(stream_id)
            request.give_up()
        await ask(load, connection, "exact")


async def idle(load: Load) -> None:
    """A connection with a call at its begin and one at its end."""
    async with connected(load) as connection:
        await ask(load, connection, "exact")
        for _ in range(SLOW_PIECES):
            await load.rest()
        await ask(load, connection, "exact")


async def other_client(load: Load) -> None:
    """Another client is served meanwhile."""
    async with connected(load) as connection:
        await ask(load, connection, "exact")
