"""What is asked of the server when a load is over: does it still answer, and did it count what clients saw?"""

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.soak.calls import channel, counters, infer
from benchmarks.soak.ledger import Ledger
from benchmarks.soak.load import Load
from benchmarks.soak.models import MODELS


async def ask_each_model(load: Load) -> None:
    """One proper call to each model, entered in the ledger as all others."""
    async with channel(load) as connection:
        for model in MODELS:
            await infer(load, connection, model)


@dataclass(frozen=True)
class Counted:
    """How many requests of a model succeeded and failed, as the server counts."""

    success: int
    fail: int


async def count(load: Load) -> dict[str, Counted]:
    """Ask for the counters of every model."""
    async with channel(load) as connection:
        return {model: Counted(*await counters(connection, model)) for model in MODELS}


def miscounts(ledger: Ledger, counted: Mapping[str, Counted]) -> list[str]:
    """Return what in the server's counters contradicts the ledger.

    A request that its client gave up may have succeeded, failed, or never have been accepted; every other one that was
    accepted succeeded, and is counted so.
    """
    found = []
    for model, server in counted.items():
        tally = ledger.tallies[model]
        if not tally.answered <= server.success <= server.success + server.fail <= tally.answered + tally.given_up:
            found.append(f"{model}: {server} contradicts {tally}")
    return found
