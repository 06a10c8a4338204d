"""The calls that a front end has accepted and not yet answered."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

from npuserve.core.errors import ServeError
from npuserve.core.status import StatusCode
from npuserve.service.call import SHUTTING_DOWN


class OpenCalls:
    """Counts accepted calls; once told to, refuses new ones and tells when none is left. Used on the loop only."""

    def __init__(self) -> None:
        self.count = 0
        self._accepting = True
        self._answered_at = 0.0
        self._none_left = asyncio.Event()

    @contextmanager
    def open(self) -> Iterator[None]:
        """Hold a call open. Raises ServeError (UNAVAILABLE) if new calls are refused."""
        if not self._accepting:
            self._answered_at = time.monotonic()
            raise ServeError(StatusCode.UNAVAILABLE, SHUTTING_DOWN)
        self.count += 1
        try:
            yield
        finally:
            self.count -= 1
            self._answered_at = time.monotonic()
            self._settle()

    def refuse_new(self) -> None:
        """Refuse every call from now on. Idempotent."""
        self._accepting = False
        self._settle()

    async def wait_until_none(self) -> None:
        """Return when new calls are refused and no accepted one is open."""
        await self._none_left.wait()

    def quiet_seconds(self) -> float:
        """Return the time since a call was last answered or refused."""
        return time.monotonic() - self._answered_at

    def _settle(self) -> None:
        if not self._accepting and self.count == 0:
            self._none_left.set()
