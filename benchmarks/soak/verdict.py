"""What is asked of the server when a load is over: does it still answer, and did it count what clients saw?"""

from benchmarks.soak.calls import channel, counters, infer
from benchmarks.soak.load import Load
from benchmarks.soak.models import MODELS


async def ask_each_model(load: Load) -> None:
    """One proper call to each model, entered in the ledger as all others."""
    async with channel(load) as connection:
        for model in MODELS:
            await infer(load, connection, model)


async def miscounts(load: Load) -> list[str]:
    """Compare the server's counters with the ledger; return what contradicts it.

    A request that its client gave up may have succeeded, failed, or never have been accepted; every other one that was
    accepted succeeded, and is counted so.
    """
    found = []
    async with channel(load) as connection:
        for model in MODELS:
            success, fail = await counters(connection, model)
            tally = load.ledger.tallies[model]
            if not tally.answered <= success <= success + fail <= tally.answered + tally.given_up:
                found.append(f"{model}: counted {success} successes and {fail} failures, of {tally}")
    return found
