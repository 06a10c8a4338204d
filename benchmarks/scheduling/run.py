"""What do buckets gain on real sentences, beside one gear of the longest, the real Triton, and LitServe?

Every server runs the same model by the same engine with the same threads (arms.py). They run at once, but all are
stopped but the one that is measured; within a round they are measured one after the other, so a ratio is of neighbours
in time. The clients share the processors with the servers.

Closed loop: 64 clients that each wait for their answer. Open loop: arrivals of a Poisson process at 80 % of what the
arm itself reached in the closed loop, so every arm has the same load for its strength; and ours beside the best peer of
the round at 80 % of what that one reached, so both have the same requests.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.frontend.servers import Server
from benchmarks.report import RESULTS, Report
from benchmarks.scheduling.arms import Arm, arms
from benchmarks.scheduling.clients import asking
from benchmarks.scheduling.devices import measure as measure_devices
from benchmarks.scheduling.load import Found, closed_loop, open_loop
from benchmarks.scheduling.plot import draw
from benchmarks.scheduling.sentences import EXAMPLE, token_ids
from benchmarks.scheduling.simulate import measure as measure_simulation

sys.path.insert(0, str(EXAMPLE))

from export import export  # the example's modules import each other by these names

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "build" / "bench" / "scheduling"
CLIENTS = 64
SHARE_OF_CAPACITY = 0.8
WARM_UP_SECONDS = 1.0
COMPARED = 48
# Logits of a sentence that ran in another batch: sums in another order.
TOLERANCE = 1e-3

Rounds = dict[str, list[Found]]


@dataclass(frozen=True)
class Measured:
    """What each arm reached, round by round. equal: ours and the round's best peer, at the same rate."""

    closed: Rounds
    opened: Rounds
    equal: list[tuple[Found, Found]] = field(default_factory=list)


def main() -> None:
    """Measure all and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often everything is measured")
    parser.add_argument("--seconds", type=float, default=6.0, help="length of each measurement")
    arguments = parser.parse_args()
    work = ROOT / "build" / "demo"
    sentences = token_ids(work)
    contest = arms(export("sentiment", work).path, WORK)
    measured = _measure(contest, sentences, arguments.rounds, arguments.seconds)
    report = Report("scheduling")
    _compare(report, contest, measured)
    measure_devices(report)
    measure_simulation(report)
    draw(report, contest, measured.closed, measured.opened, RESULTS / "scheduling.png")
    report.publish()


def _measure(contest: Sequence[Arm], sentences: list[list[int]], rounds: int, seconds: float) -> Measured:
    """Return what each arm reached in each round. A first pass warms up and is not kept."""
    measured = Measured({arm.name: [] for arm in contest}, {arm.name: [] for arm in contest})
    with ExitStack() as running:
        servers = {arm.name: running.enter_context(arm.launch.running(WORK / "logs")) for arm in contest}
        _check_answers(contest, sentences[:COMPARED])
        for server in servers.values():
            server.pause()
        for turn in range(rounds + 1):
            order = list(contest) if turn % 2 == 0 else list(reversed(contest))
            for arm in order:
                found = _loads(servers[arm.name], arm, sentences, seconds if turn else WARM_UP_SECONDS)
                if turn:
                    measured.closed[arm.name].append(found[0])
                    measured.opened[arm.name].append(found[1])
            if turn:
                measured.equal.append(_equal_load(contest, servers, sentences, seconds, measured.closed))
    return measured


def _equal_load(
    contest: Sequence[Arm], servers: dict[str, Server], sentences: list[list[int]], seconds: float, closed: Rounds
) -> tuple[Found, Found]:
    """Give ours and the best peer of the last round the same requests."""
    best = max((arm for arm in contest if arm.is_peer), key=lambda arm: closed[arm.name][-1].rate)
    rate = closed[best.name][-1].rate * SHARE_OF_CAPACITY

    async def loaded(arm: Arm) -> Found:
        async with arm.connect() as classifier:
            return await open_loop(asking(classifier, sentences), rate, seconds)

    found = []
    for arm in (contest[0], best):
        servers[arm.name].resume()
        try:
            found.append(asyncio.run(loaded(arm)))
        finally:
            servers[arm.name].pause()
    return found[0], found[1]


def _loads(server: Server, arm: Arm, sentences: list[list[int]], seconds: float) -> tuple[Found, Found]:
    async def both() -> tuple[Found, Found]:
        async with arm.connect() as classifier:
            ask = asking(classifier, sentences)
            closed = await closed_loop(ask, CLIENTS, seconds, WARM_UP_SECONDS)
            return closed, await open_loop(ask, closed.rate * SHARE_OF_CAPACITY, seconds)

    server.resume()
    try:
        return asyncio.run(both())
    finally:
        server.pause()


def _check_answers(contest: Sequence[Arm], sentences: list[list[int]]) -> None:
    """Raise ValueError unless all arms give the same logits, also in batches."""

    async def ask(arm: Arm) -> list[np.ndarray]:
        async with arm.connect() as classifier:
            return await asyncio.gather(*(classifier.logits(sentence) for sentence in sentences))

    reference = asyncio.run(ask(contest[0]))
    for arm in contest[1:]:
        for number, (one, other) in enumerate(zip(reference, asyncio.run(ask(arm)), strict=True)):
            if not np.allclose(one, other, atol=TOLERANCE):
                raise ValueError(f"{arm.name} answers sentence {number} with {other}, {contest[0].name} with {one}")


def _compare(report: Report, contest: Sequence[Arm], measured: Measured) -> None:
    """Add the ratios of ours to the others, by round, then every arm's own figures."""
    closed, opened = measured.closed, measured.opened
    ours, *others = contest
    padded = [arm.name for arm in others if arm.is_padded]
    peers = [arm.name for arm in others if arm.is_peer]
    rates = {name: [found.rate for found in rounds] for name, rounds in closed.items()}
    best = max(peers, key=lambda name: np.median(rates[name]))
    report.add("bucket_gain_padded", "ratio", _ratios(rates[ours.name], _best(rates, padded)))
    report.add("bucket_gain_best_peer", "ratio", _ratios(rates[ours.name], _best(rates, peers)))
    for kind, rounds in (("closed", closed), ("open", opened)):
        p99 = {name: [found.p99_ms for found in each] for name, each in rounds.items()}
        report.add(f"p99_{kind}_to_best_peer", "ratio", _ratios(p99[ours.name], p99[best]))
    at_equal = [[found.p99_ms for found in each] for each in zip(*measured.equal, strict=True)]
    report.add("p99_equal_to_best_peer", "ratio", _ratios(*at_equal))
    for name, values in zip(("buckets", "best_peer"), at_equal, strict=True):
        report.add(f"{name}_equal_p99", "ms", values)
    for arm in contest:
        report.add(f"{arm.name}_rate", "sequences/s", rates[arm.name])
        for kind, rounds in (("closed", closed), ("open", opened)):
            report.add(f"{arm.name}_{kind}_p50", "ms", [found.p50_ms for found in rounds[arm.name]])
            report.add(f"{arm.name}_{kind}_p99", "ms", [found.p99_ms for found in rounds[arm.name]])


def _best(rates: dict[str, list[float]], names: Sequence[str]) -> list[float]:
    """Return the best rate of these arms in each round."""
    return [max(each) for each in zip(*(rates[name] for name in names), strict=True)]


def _ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    return [one / other for one, other in zip(ours, theirs, strict=True)]


if __name__ == "__main__":
    main()
