"""A whole migration in one call, as a part of a larger one: what it wrote, or why it did not."""

from pathlib import Path

from npuserve.migrate.chain.faults import ENVIRONMENT
from npuserve.migrate.chain.gates import failed
from npuserve.migrate.chain.lock import locked
from npuserve.migrate.chain.progress import Progress
from npuserve.migrate.chain.runner import Run, Runner
from npuserve.migrate.chain.settings import Settings
from npuserve.migrate.chain.stage import Workspace
from npuserve.migrate.chain.stages import SERVE, stages_of
from npuserve.migrate.errors import MigrationError, SetupError

REPOSITORY = "repository"


def run_whole(settings: Settings, work: Path, progress: Progress) -> tuple[Run, Path]:
    """Run all stages that do not hold; return how they ended, and where the repository is, if it could be made."""
    places = stages_of(settings)
    with locked(work):
        run = Runner(Workspace(settings=settings, work=work), places, progress).run()
    return run, work / SERVE.folder / REPOSITORY


def demand(run: Run) -> None:
    """Raise SetupError or MigrationError, in one sentence, for a run that did not pass."""
    for outcome in run.outcomes:
        if outcome.fault is not None:
            kind = SetupError if outcome.fault.code == ENVIRONMENT else MigrationError
            raise kind(f"{outcome.place.command}: {outcome.fault.message}", *outcome.fault.advice)
        if outcome.status == "failed" and outcome.record is not None:
            reasons = "; ".join(str(check) for check in failed(outcome.record.result.checks))
            raise MigrationError(f"{outcome.place.command}: the gate failed: {reasons}", *outcome.record.result.advice)
