"""Does the server stay right, and its memory flat, under minutes of mixed load?

Small and 16 MB tensors, compressed calls, reflection streams, metadata and statistics; calls that are cancelled or
expire; clients that read or write slowly, leave by a TCP reset, or send garbage. Every well-formed request must be
answered exactly once and by its own bytes, the counters must be what clients saw, and at the end nothing may be left
behind. The clients are one process with less priority than the server: what is measured is correctness, not rate.
"""

import argparse
import asyncio
import gc
import os
import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import Report
from benchmarks.server import ServerProcess, open_files, serving, wait_for_open_files
from benchmarks.soak.kinds import KINDS
from benchmarks.soak.load import Load, run_for, run_rounds
from benchmarks.soak.models import SERVER_FLAGS, write_repository
from benchmarks.soak.plot import draw
from benchmarks.soak.verdict import Counted, ask_each_model, count, miscounts
from benchmarks.soak.watch import Watch

WORK = Path(__file__).resolve().parents[2] / "build" / "soak"
PAUSE_SECONDS = 0.05
NICENESS = 5
MOST_GROWTH = 1.05
SHOWN = 20


@dataclass(frozen=True)
class Outcome:
    """What a soak found, of the clients and of the server's process."""

    load: Load
    watch: Watch
    files_growth: int
    counted: dict[str, Counted]
    exit_code: int
    log_errors: list[str]

    @property
    def miscounts(self) -> list[str]:
        """Return what in the server's counters contradicts the ledger."""
        return miscounts(self.load.ledger, self.counted)

    def add_to(self, report: Report) -> None:
        """Enter the figures."""
        ledger, watch = self.load.ledger, self.watch
        report.add("soak_wrong_answers", "requests", [len(ledger.mistakes)])
        report.add("soak_unanswered", "requests", [ledger.unanswered])
        report.add("soak_miscounted_models", "models", [len(self.miscounts)])
        report.add("soak_rss_growth_ratio", "ratio", [watch.growth_ratio()])
        report.add("soak_fd_growth", "files", [self.files_growth])
        report.add("soak_exit_code", "code", [self.exit_code])
        report.add("soak_log_errors", "lines", [len(self.log_errors)])
        report.add("soak_requests", "requests", [ledger.sent])
        report.add("soak_given_up", "requests", [sum(tally.given_up for tally in ledger.tallies.values())])
        # Of those: accepted, and then not executed or not answered.
        report.add("soak_given_up_in_queue", "requests", [sum(counts.fail for counts in self.counted.values())])
        report.add("soak_seconds", "s", [len(watch.rss) * watch.interval])
        report.add("soak_rss_largest", "MiB", [max(watch.rss) / 2**20])
        report.add("soak_rss_last", "MiB", [watch.rss[-1] / 2**20])

    def faults(self) -> list[str]:
        """Return a sentence for everything that should not be."""
        found = [*self.load.ledger.mistakes[:SHOWN], *self.miscounts, *self.log_errors[:SHOWN]]
        for subject, tally in self.load.ledger.tallies.items():
            if tally.unanswered:
                found.append(f"{subject}: {tally.unanswered} requests were not answered: {tally}")
        if self.watch.growth_ratio() > MOST_GROWTH:
            found.append(f"memory grew by {self.watch.growth_ratio() - 1:.1%}")
        if self.files_growth > 0:
            found.append(f"{self.files_growth} files more are open than before the load")
        if self.exit_code != 0:
            found.append(f"SIGTERM ended the server with code {self.exit_code}")
        return found


def main() -> int:
    """Soak, publish, and return 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=320.0, help="length of the load")
    parser.add_argument("--frontend", default="native", choices=SERVER_FLAGS, help="the front end that is soaked")
    parser.add_argument("--seed", type=int, default=1, help="of payloads and moments")
    arguments = parser.parse_args()
    repository = WORK / "repository"
    shutil.rmtree(repository, ignore_errors=True)
    write_repository(repository)
    with serving(repository, WORK / "server.log", *SERVER_FLAGS[arguments.frontend]) as server:
        os.nice(NICENESS)
        host, _, port = server.address.rpartition(":")
        load = Load(host, int(port), seed=arguments.seed, pause=PAUSE_SECONDS)
        outcome = asyncio.run(soak(server, load, arguments.seconds))
    report = Report("soak")
    outcome.add_to(report)
    draw(outcome.watch, report.publish().with_suffix(".png"))
    for fault in outcome.faults():
        print(f"FAULT {fault}", file=sys.stderr)
    return 1 if outcome.faults() else 0


async def soak(server: ServerProcess, load: Load, seconds: float) -> Outcome:
    """Run the load against a server, then ask whether it is as it was, and stop it."""
    watch = Watch(server.pid)
    await run_rounds(load, KINDS, 1)  # what a front end opens at first use and keeps is no growth
    await asyncio.sleep(watch.interval)
    files = open_files(server.pid)
    sampling = asyncio.create_task(watch.run())
    await run_for(load, KINDS, seconds)
    sampling.cancel()
    with suppress(asyncio.CancelledError):
        await sampling
    await ask_each_model(load)
    gc.collect()  # a call that grpcio has not let go of keeps its connection
    grown = await asyncio.to_thread(wait_for_open_files, server.pid, files) - files
    counted = await count(load)
    exit_code = await asyncio.to_thread(server.stop)
    lines = server.log.read_text().splitlines()
    return Outcome(load, watch, grown, counted, exit_code, [line for line in lines if is_error(line)])


def is_error(line: str) -> bool:
    """Say whether a line of the server's log tells of an error, or belongs to a trace. Tables are of `+` and `|`."""
    return not line.startswith(("I", "W", "+", "|"))


if __name__ == "__main__":
    sys.exit(main())
