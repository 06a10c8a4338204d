"""Who still uses what is to be closed."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Leases:
    """Counts the users of something that is closed once nobody uses it. Used on the event loop only."""

    def __init__(self) -> None:
        self._count = 0
        self._is_ended = False
        self._idle = asyncio.Event()
        self._idle.set()

    def __repr__(self) -> str:
        return f"<Leases count={self._count} ended={self._is_ended}>"

    @property
    def is_ended(self) -> bool:
        """Whether it is being closed: whoever found it before should look for its successor."""
        return self._is_ended

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep it open within the block."""
        self.acquire()
        try:
            yield
        finally:
            self.release()

    def acquire(self) -> None:
        """Keep it open until `release`."""
        self._count += 1
        self._idle.clear()

    def release(self) -> None:
        """Give back what `acquire` took."""
        self._count -= 1
        if self._count == 0:
            self._idle.set()

    async def end(self) -> None:
        """From now on say that it is being closed; return when nobody holds it."""
        self._is_ended = True
        await self._idle.wait()
