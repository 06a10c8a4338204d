"""Load that waits for answers (closed loop) and load that does not (open loop), and what it found."""

import asyncio
import random
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count

Ask = Callable[[int], Awaitable[None]]
"""Sends the request of a number and returns when it is answered; raises if the answer is an error."""

_SEED = 20261123


@dataclass(frozen=True)
class Found:
    """One measurement. rate: answers per second; p50_ms, p99_ms: of the latencies."""

    rate: float
    p50_ms: float
    p99_ms: float


async def closed_loop(ask: Ask, in_flight: int, seconds: float, warm_up_seconds: float) -> Found:
    """Keep so many requests in flight; what is answered after the warm-up counts."""
    numbers = count()
    latencies: list[float] = []
    counted_from = time.perf_counter() + warm_up_seconds
    until = counted_from + seconds

    async def one_after_another() -> None:
        while (sent := time.perf_counter()) < until:
            await ask(next(numbers))
            answered = time.perf_counter()
            if counted_from <= answered < until:
                latencies.append(answered - sent)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(in_flight):
            tasks.create_task(one_after_another())
    return _found(latencies, len(latencies) / seconds)


async def open_loop(ask: Ask, rate: float, seconds: float) -> Found:
    """Send at the instants of a Poisson process, whatever the server does; a latency starts at its instant."""
    arrivals = random.Random(_SEED)
    latencies: list[float] = []
    started = time.perf_counter()

    async def one(number: int, due: float) -> None:
        await ask(number)
        latencies.append(time.perf_counter() - due)

    due = started
    async with asyncio.TaskGroup() as tasks:
        for number in count():
            due += arrivals.expovariate(rate)
            if due >= started + seconds:
                break
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.create_task(one(number, due))
    return _found(latencies, len(latencies) / (time.perf_counter() - started))


def _found(latencies: list[float], rate: float) -> Found:
    cuts = statistics.quantiles(latencies, n=100)
    return Found(rate, cuts[49] * 1e3, cuts[98] * 1e3)
