"""The mixed load: every kind of client, again and again, for a time or for a number of rounds."""

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from benchmarks.soak.ledger import Ledger
from benchmarks.soak.models import Payloads

# Longer than any client here takes on purpose. What takes longer is cut off, and its requests count as unanswered.
ROUND_SECONDS = 60


@dataclass
class Load:
    """What all clients share. `pause` is how long slow clients wait between their steps, in seconds."""

    host: str
    port: int
    seed: int = 1
    pause: float = 0.0
    ledger: Ledger = field(default_factory=Ledger)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.payloads = Payloads(self.seed)
        self._identifiers = itertools.count()

    @property
    def address(self) -> str:
        """Return the server's address."""
        return f"{self.host}:{self.port}"

    def identifier(self) -> str:
        """Return an id that no other request has."""
        return str(next(self._identifiers))

    async def rest(self) -> None:
        """Be slow."""
        await asyncio.sleep(self.pause)


@dataclass(frozen=True)
class Kind:
    """A kind of client: one round of it, how many do it side by side, and the seconds between a client's rounds."""

    run: Callable[[Load], Awaitable[None]]
    clients: int = 1
    interval: float = 0.0


async def run_round(load: Load, name: str, kind: Kind) -> None:
    """Do one round; a failure of the client itself is a mistake too: no server should make it stumble."""
    try:
        async with asyncio.timeout(ROUND_SECONDS):
            await kind.run(load)
    except TimeoutError:
        load.ledger.mistakes.append(f"{name}: not done within {ROUND_SECONDS} s")
    except Exception as error:
        load.ledger.mistakes.append(f"{name}: {type(error).__name__}: {error}")


async def run_for(load: Load, kinds: dict[str, Kind], seconds: float) -> None:
    """Let all clients of all kinds work for a time."""
    end = time.monotonic() + seconds

    async def client(name: str, kind: Kind) -> None:
        while time.monotonic() < end:
            await run_round(load, name, kind)
            await asyncio.sleep(kind.interval)

    async with asyncio.TaskGroup() as clients:
        for name, kind in kinds.items():
            for _ in range(kind.clients):
                clients.create_task(client(name, kind))


async def run_rounds(load: Load, kinds: dict[str, Kind], rounds: int) -> None:
    """Let one client of each kind do some rounds, all kinds side by side."""

    async def client(name: str, kind: Kind) -> None:
        for _ in range(rounds):
            await run_round(load, name, kind)

    async with asyncio.TaskGroup() as clients:
        for name, kind in kinds.items():
            clients.create_task(client(name, kind))
