"""Completions from native threads, handed to the coroutines that await them."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from typing import Any

from npuserve._engine import Completion, CompletionQueue

_FIRST_TOKEN = 1 << 62
"""Apart from the tokens of the front ends, which are numbers of connections: a model cancels by token alone."""


class CompletionRouter:
    """Joins one native completion queue to one event loop.

    Native threads append completions and write one eventfd; the loop wakes once and takes all that are ready. Every
    method is called on the loop.
    """

    def __init__(self) -> None:
        self.queue = CompletionQueue()
        self._tokens = itertools.count(_FIRST_TOKEN)
        self._waiting: dict[int, asyncio.Future[Completion]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def __repr__(self) -> str:
        return f"<CompletionRouter waiting={len(self._waiting)}>"

    def start(self) -> None:
        """Watch the queue on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self.queue.fileno(), self._deliver)

    def close(self) -> None:
        """Stop watching. Every model that completes into this queue must be closed before."""
        if self._loop is not None:
            self._loop.remove_reader(self.queue.fileno())
            self._loop = None
            self._deliver()
            self.queue.close()

    def call(self, submit: Callable[[int], None], cancel: Callable[[int], bool]) -> Coroutine[Any, Any, Completion]:
        """Submit under a fresh token at once; give the completion, which must be awaited.

        If the awaiting task is cancelled, so is the request.
        """
        token = next(self._tokens)
        future: asyncio.Future[Completion] = asyncio.get_running_loop().create_future()
        submit(token)
        self._waiting[token] = future
        return self._completion(token, future, cancel)

    async def _completion(
        self, token: int, future: asyncio.Future[Completion], cancel: Callable[[int], bool]
    ) -> Completion:
        try:
            return await future
        except asyncio.CancelledError:
            cancel(token)
            raise

    def _deliver(self) -> None:
        for completion in self.queue.drain():
            future = self._waiting.pop(completion.token)
            if not future.done():
                future.set_result(completion)
