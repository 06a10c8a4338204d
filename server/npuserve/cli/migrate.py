"""`npuserve migrate`: from a checkpoint to an approved service, stage by stage, with a report."""

import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from npuserve.cli import migrate_repository
from npuserve.cli.migrate_flags import REPORT, overrides, parse
from npuserve.cli.tables import table
from npuserve.migrate.chain.faults import PASSED, Fault, fault_of
from npuserve.migrate.chain.lock import locked
from npuserve.migrate.chain.progress import Progress
from npuserve.migrate.chain.publish import publish
from npuserve.migrate.chain.runner import Outcome, Runner
from npuserve.migrate.chain.settings_file import Migration, read_migration
from npuserve.migrate.chain.stage import Workspace
from npuserve.migrate.chain.stages import SERVE, stages_of
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.report.write import write_report

_CONFIG = Path("migration.toml")


class _Stopped(BaseException):
    """By a signal."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def run(arguments: Sequence[str]) -> int:
    """Run the command; return the exit code."""
    parsed = parse(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    work = Path.cwd()
    try:
        config = parsed.config or (_CONFIG if _CONFIG.exists() else None)
        if parsed.from_triton is not None:
            return migrate_repository.run(parsed, config, overrides(parsed))
        if parsed.samples is not None:
            raise MigrationError("--samples is for --from-triton; one model has --dataset or --inputs")
        migration = read_migration(config, overrides(parsed))
        work = migration.work
        with locked(work):
            return _run(migration, parsed.stage, parsed.again, _command(arguments, parsed.stage, migration))
    except _Stopped as stopped:
        print("npuserve migrate: stopped; the next run goes on from the last finished stage", file=sys.stderr)
        return 128 + stopped.number
    except Exception as error:
        _tell(fault_of(error, work))
        return fault_of(error, work).code


def _run(migration: Migration, stage: str | None, again: bool, command: Sequence[str]) -> int:
    places = stages_of(migration.settings)
    workspace = Workspace(settings=migration.settings, work=migration.work)
    runner = Runner(workspace, places, Progress())
    only = next((place for place in places if place.command == stage), None)
    if stage is not None and stage != REPORT and only is None:
        raise MigrationError(f"{stage} is no stage of the fallback to ONNX Runtime, which compiles nothing")
    outcome = runner.look() if stage == REPORT else runner.run(only, again)
    print(table(("stage", "status", "seconds", "gate"), [_row(each) for each in outcome.outcomes]))
    for each in outcome.outcomes:
        _explain(each)
    try:
        print(f"report: {write_report(migration, outcome, command)}")
    except OSError as error:
        # A full disk, most likely, which has stopped a stage before: that is the code.
        fault = fault_of(error, migration.work)
        _tell(fault, "report: ")
        return outcome.code or fault.code
    if all(each.status in ("passed", "kept") for each in outcome.outcomes) and migration.repository is not None:
        for model in publish(migration.work / SERVE.folder / "repository", migration.repository):
            print(f"model: {model}")
    return PASSED if stage == REPORT else outcome.code


def _command(arguments: Sequence[str], stage: str | None, migration: Migration) -> list[str]:
    """Return the command that does the whole of it, from any folder that flags do not depend on."""
    given = list(arguments[stage is not None :])
    if migration.file is not None and not any(flag.partition("=")[0] == "--config" for flag in given):
        given = ["--config", str(migration.file.resolve()), *given]
    return ["npuserve", "migrate", *given]


def _row(outcome: Outcome) -> tuple[str, str, str, str]:
    record = outcome.record
    gate = "" if record is None else "\n".join(map(str, record.result.checks))
    seconds = f"{record.result.seconds if record else outcome.seconds:.1f}"
    return outcome.place.folder.replace("_", " ", 1), outcome.status, seconds, gate


def _explain(outcome: Outcome) -> None:
    """Say on stderr why a stage failed, and what to try."""
    if outcome.fault is not None:
        _tell(outcome.fault, f"{outcome.place.command}: ")
    elif outcome.status == "failed" and outcome.record is not None:
        result = outcome.record.result
        reasons = "; ".join(str(check) for check in result.checks if not check.passed)
        _tell(Fault(message=f"the gate failed: {reasons}", code=1, advice=result.advice), f"{outcome.place.command}: ")


def _tell(fault: Fault, who: str = "") -> None:
    print(f"npuserve migrate: error: {who}{fault.message}", file=sys.stderr)
    for advice in fault.advice:
        print(f"  try: {advice}", file=sys.stderr)


def _stop(number: int, frame: FrameType | None) -> None:
    # Once: what cleans up is not to be stopped, too.
    signal.signal(number, signal.SIG_IGN)
    raise _Stopped(number)
