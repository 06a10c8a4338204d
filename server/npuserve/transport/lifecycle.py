"""The server's life: load the models, open the ports, serve until told to stop, drain, unload."""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Protocol

from npuserve.transport.front_end import FrontEnd, FrontEndError

_log = logging.getLogger(__name__)


class Models(Protocol):
    """What serves the requests: a registry of models."""

    async def load_all(self, repositories: Sequence[Path]) -> None:
        """Load every model; one that fails is in `failures`. Raises OSError if a repository cannot be listed."""
        ...

    def failures(self) -> Mapping[str, str]:
        """Return what failed to load, and why."""
        ...

    def begin_close(self) -> None:
        """Change no model any more; tell whoever watches them that the server stops, which ends the watch."""
        ...

    async def close(self) -> None:
        """Unload every model once its accepted requests are answered. Raises ExceptionGroup if some failed to."""
        ...


class Ending(Enum):
    """How the server's life ended."""

    CLEAN = auto()
    """Every accepted request was answered and every model unloaded."""
    FAILED_TO_START = auto()
    """Nothing was served."""
    OUT_OF_TIME = auto()
    """Accepted requests or loaded models were left behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle:
    """Owns the order in which things start and stop.

    front_ends: opened together, when the models are loaded. watching: what tells of the server to the last, as its
    metrics: opened with the others, closed after the models.
    when_loaded: told of the models before any port is opened.
    close_backends: gives back what the executors shared, after the models have closed them.
    exit_timeout_secs: the budget for everything between the first signal and the end.
    """

    models: Models
    front_ends: tuple[FrontEnd, ...]
    watching: tuple[FrontEnd, ...] = ()
    when_loaded: Callable[[], None] = lambda: None
    close_backends: Callable[[], Awaitable[None]]
    repositories: tuple[Path, ...]
    exit_on_error: bool
    exit_timeout_secs: float

    async def run(self) -> Ending:
        """Serve until SIGTERM or SIGINT; a second signal ends the draining at once.

        After OUT_OF_TIME the caller must end the process without waiting for tasks or threads. Raises ExceptionGroup
        if models failed to close.
        """
        with _Signals() as signals:
            loading = asyncio.create_task(self.models.load_all(self.repositories))
            ending = await self._serve(loading, signals)
            stopping = asyncio.create_task(self._shut_down(loading))
            done = await _first_of(stopping, signals.repeated, within_secs=self.exit_timeout_secs)
        if done:
            await stopping
            return ending
        stopping.cancel()
        reason = "Second signal" if signals.repeated.is_set() else "Exit timeout expired"
        _log.error("failed to stop server: Internal - %s. Exiting immediately.", reason)
        return Ending.OUT_OF_TIME

    async def _serve(self, loading: asyncio.Task[None], signals: "_Signals") -> Ending:
        """Load and serve until the first signal comes, also while loading."""
        if not await _first_of(loading, signals.first):
            _log.info("Signal received while loading: stopping")
            return Ending.CLEAN
        try:
            await loading
            self.when_loaded()
            if self.exit_on_error and self.models.failures():
                _log.error("creating server: Internal - failed to load all models")
                return Ending.FAILED_TO_START
            opened = [(front_end.title, await front_end.start()) for front_end in (*self.front_ends, *self.watching)]
        except (OSError, FrontEndError) as error:
            _log.error("%s", error)
            return Ending.FAILED_TO_START
        for title, address in opened:
            _log.info("Started %s at %s", title, address)
        await signals.first.wait()
        _log.info("Signal received: draining, %g seconds at most", self.exit_timeout_secs)
        return Ending.CLEAN

    async def _shut_down(self, loading: asyncio.Task[None]) -> None:
        if loading.cancel():
            await asyncio.wait({loading})
        self.models.begin_close()
        for front_end in self.front_ends:
            front_end.stop_accepting()
        await asyncio.gather(*(front_end.drain() for front_end in self.front_ends))
        await asyncio.gather(*(front_end.stop() for front_end in self.front_ends))
        try:
            await self.models.close()
        except ExceptionGroup:
            await self.close_backends()
            raise
        for front_end in self.front_ends:
            await front_end.release()
        for front_end in self.watching:
            front_end.stop_accepting()
            await front_end.stop()
            await front_end.release()
        # Not in a `finally`: while an unload is cut short, its model still holds the device.
        await self.close_backends()


async def _first_of(work: asyncio.Task[None], event: asyncio.Event, within_secs: float | None = None) -> bool:
    """Wait until the work is done, the event set or the time over; say whether the work is done."""
    waiting = asyncio.create_task(event.wait())
    await asyncio.wait({work, waiting}, timeout=within_secs, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    return work.done()


class _Signals:
    """SIGTERM and SIGINT as two events: the first signal, and any after it."""

    def __init__(self) -> None:
        self.first = asyncio.Event()
        self.repeated = asyncio.Event()

    def __enter__(self) -> "_Signals":
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._note)
        return self

    def __exit__(self, *exception: object) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)

    def _note(self) -> None:
        (self.repeated if self.first.is_set() else self.first).set()
