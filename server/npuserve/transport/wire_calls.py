"""Serves the native front end's calls that Python answers, a task each."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine

from google.protobuf.message import Message

from npuserve._wire import ServerCall
from npuserve.core.status import StatusCode
from npuserve.service.call import Call
from npuserve.service.methods import MethodTable, StreamMethod, UnaryMethod
from npuserve.transport.answers import parse, refusal


class WireCalls:
    """Answers calls with the handlers of a method table. Used on the loop only.

    max_unsent_bytes: a stream's next response waits while more than this is on its way to the client.
    """

    def __init__(self, methods: MethodTable, *, max_unsent_bytes: int) -> None:
        self._methods = methods
        self._max_unsent_bytes = max_unsent_bytes
        self._tasks: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<WireCalls open={len(self._tasks)}>"

    def dispatch(self, call: ServerCall) -> None:
        """Take up a call: the endpoint's callback.

        A path that nobody serves is refused without a word, as in Triton.
        """
        method = self._methods.get(call.path)
        if method is None:
            call.finish(StatusCode.UNIMPLEMENTED, "")
        elif call.ended:
            return
        elif isinstance(method, UnaryMethod):
            self._begin(method, _OpenCall(call))
        else:
            opened = _OpenCall(call)
            self._start(method.path, opened, self._stream(method, opened))

    async def cancel(self) -> None:
        """Cancel the calls that are still being answered and wait for their handlers to end."""
        # What a handler has begun it ends in its task, which must have started for that.
        await asyncio.sleep(0)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _begin(self, method: UnaryMethod, call: "_OpenCall") -> None:
        """Hand the first message to the handler as soon as it is there, whatever follows it, as gRPC's servers do.

        The task only waits for what the handler has begun: it starts while, for example, a model runs.
        """
        if call.ended:
            return
        message = call.take_message()
        if message is None and not call.half_closed:
            call.when_changed(lambda: self._begin(method, call))
            return
        call.when_changed(None)
        try:
            answering = method.handler(parse(method.request, message), call.described)
        except Exception as error:
            call.finish(*refusal(method.path, error))
            return
        self._start(method.path, call, _answer(call, answering))

    def _start(self, path: str, call: "_OpenCall", work: Coroutine[None, None, None]) -> None:
        task = call.task = asyncio.get_running_loop().create_task(self._serve(path, call, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, path: str, call: "_OpenCall", work: Coroutine[None, None, None]) -> None:
        call.cancel_when_over()
        try:
            await work
        except asyncio.CancelledError:
            call.finish(StatusCode.CANCELLED, "")
            raise
        except Exception as error:
            call.finish(*refusal(path, error))
        else:
            call.finish(StatusCode.OK, "")

    async def _stream(self, method: StreamMethod, call: "_OpenCall") -> None:
        responses = method.handler(_Requests(method.request, call), call.described)
        try:
            async for response in responses:
                await call.wait_until_unsent_below(self._max_unsent_bytes)
                call.send(response)
        finally:
            if isinstance(responses, AsyncGenerator):
                await responses.aclose()


async def _answer(call: "_OpenCall", answering: Awaitable[Message]) -> None:
    call.send(await answering, more=True)


class _OpenCall:
    """One call with its waits: every change that its listener is told of wakes them all.

    task: what answers it, once it has one.
    """

    def __init__(self, call: ServerCall) -> None:
        self.described = Call(deadline=call.deadline, metadata=call.metadata, peer=call.peer)
        self._call = call
        self._changed: asyncio.Event | None = None
        self.task: asyncio.Task[None] | None = None

    @property
    def ended(self) -> bool:
        """Whether nobody waits for the answer any more."""
        return self._call.ended

    @property
    def half_closed(self) -> bool:
        """Whether the client has sent its last message."""
        return self._call.half_closed

    def take_message(self) -> bytes | None:
        """Return the oldest message that came and was not taken, None if there is none."""
        return self._call.take_message()

    def when_changed(self, tell: Callable[[], None] | None) -> None:
        """Tell of changes, as long as the call has no task."""
        self._call.listener = tell

    def cancel_when_over(self) -> None:
        """Cancel the task, which has started, as soon as nobody waits for the answer."""
        self._call.listener = self._listen
        if self._call.ended:
            self._listen()

    async def next_message(self) -> bytes | None:
        """Return the next message, None behind the last."""
        while True:
            message = self._call.take_message()
            if message is not None or self._call.half_closed:
                return message
            await self._change()

    async def wait_until_unsent_below(self, limit_bytes: int) -> None:
        """Return when the client has taken enough of what was sent."""
        while self._call.unsent_bytes > limit_bytes:
            await self._change()

    def send(self, response: Message, *, more: bool = False) -> None:
        """Send a response. more: the status follows without a wait in between."""
        self._call.send(response.SerializeToString(), more=more)

    def finish(self, code: StatusCode, message: str) -> None:
        """Give the status; the listener and the call refer to each other no longer."""
        self._call.listener = None
        self._call.finish(code, message)

    async def _change(self) -> None:
        self._changed = asyncio.Event()
        await self._changed.wait()

    def _listen(self) -> None:
        if self._changed is not None:
            self._changed.set()
        if self._call.ended and self.task is not None:
            # Once: a second time would disturb the handler's cleaning up.
            task, self.task = self.task, None
            task.cancel()


class _Requests(AsyncIterator[Message]):
    """A stream's requests, parsed as they are asked for: a client that is ahead of the handler is held back."""

    def __init__(self, message: type[Message], call: _OpenCall) -> None:
        self._message = message
        self._call = call

    def __aiter__(self) -> "_Requests":
        return self

    async def __anext__(self) -> Message:
        data = await self._call.next_message()
        if data is None:
            raise StopAsyncIteration
        return parse(self._message, data)
