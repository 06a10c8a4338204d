"""Serves the HTTP front end's requests that Python answers, a task each."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator

from npuserve._wire import HttpCall
from npuserve.service.rest.exchange import HttpHandler, HttpRequest, HttpResponse

_log = logging.getLogger(__name__)

_UNEXPECTED = b'{"error":"unexpected error, see the server\'s log"}'


class HttpCalls:
    """Answers requests with a handler. Used on the loop only.

    max_unsent_bytes: a stream's next piece waits while more than this is on its way to the client.
    """

    def __init__(self, handler: HttpHandler, *, max_unsent_bytes: int) -> None:
        self._handler = handler
        self._max_unsent_bytes = max_unsent_bytes
        self._tasks: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<HttpCalls open={len(self._tasks)}>"

    def dispatch(self, call: HttpCall) -> None:
        """Take up a request: the endpoint's callback."""
        task = asyncio.get_running_loop().create_task(self._serve(_OpenCall(call)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def cancel(self) -> None:
        """Cancel the requests that are still being answered and wait for their handlers to end."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _serve(self, call: "_OpenCall") -> None:
        call.cancel_when_over(asyncio.current_task())
        try:
            response = await self._handler(call.request)
            if isinstance(response.body, bytes):
                call.respond(response, response.body)
            else:
                await self._stream(call, response, response.body)
        except asyncio.CancelledError:
            call.abort()
            raise
        except Exception:
            _log.exception("unexpected error in %s %s", call.request.method, call.request.path)
            call.fail()

    async def _stream(self, call: "_OpenCall", response: HttpResponse, body: AsyncIterator[bytes]) -> None:
        try:
            call.start_stream(response)
            async for piece in body:
                call.send(piece)
                await call.wait_until_unsent_below(self._max_unsent_bytes)
            call.end_stream()
        finally:
            if isinstance(body, AsyncGenerator):
                await body.aclose()


class _OpenCall:
    """One request with its wait: every change that its listener is told of wakes it."""

    def __init__(self, call: HttpCall) -> None:
        self.request = HttpRequest(
            method=call.method, path=call.path, headers=call.headers, body=call.body, peer=call.peer
        )
        self._call = call
        self._streams = False
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def cancel_when_over(self, task: "asyncio.Task[None] | None") -> None:
        """Cancel the task as soon as the client is gone."""
        self._task = task
        self._call.listener = self._listen
        self._listen()

    def respond(self, response: HttpResponse, body: bytes) -> None:
        self._call.respond(response.status, response.headers, body)

    def start_stream(self, response: HttpResponse) -> None:
        self._call.start_stream(response.status, response.headers)
        self._streams = True

    def send(self, piece: bytes) -> None:
        self._call.send(piece)

    def end_stream(self) -> None:
        self._call.end_stream()

    async def wait_until_unsent_below(self, limit_bytes: int) -> None:
        """Return when the client has taken enough of what was sent."""
        while self._call.unsent_bytes > limit_bytes:
            self._changed.clear()
            await self._changed.wait()

    def fail(self) -> None:
        """Answer 500; where the answer has begun, end the connection, so that nobody takes it for whole."""
        if self._streams:
            self.abort()
        else:
            self._call.respond(500, [("Content-Type", "application/json")], _UNEXPECTED)

    def abort(self) -> None:
        """End the connection if the request has no whole answer; the listener and the call let go of each other."""
        self._call.listener = None
        self._call.abort()

    def _listen(self) -> None:
        self._changed.set()
        if self._call.ended and self._task is not None:
            # Once: a second time would disturb the handler's cleaning up.
            task, self._task = self._task, None
            task.cancel()
