"""`npuserve migrate --from-triton`: every model of a repository of Triton's, into a new one beside it."""

import argparse
import shlex
from pathlib import Path

from npuserve.cli.tables import table
from npuserve.migrate import triton
from npuserve.migrate.chain.faults import GATE_FAILED, PASSED
from npuserve.migrate.chain.progress import Progress
from npuserve.migrate.chain.settings import Settings
from npuserve.migrate.chain.settings_file import Migration, Overrides, read_migration
from npuserve.migrate.chain.whole import demand, run_whole
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.report.write import write_report


def run(parsed: argparse.Namespace, config: Path | None, overrides: Overrides) -> int:
    """Write the new repository; return 1 if a model was left behind. Raises MigrationError."""
    old = Path(parsed.from_triton)
    if parsed.stage is not None:
        raise MigrationError(f"--from-triton runs all stages of every model, not {parsed.stage} alone")
    if parsed.repository is None:
        raise MigrationError("--from-triton needs --repository, the new repository's folder")
    # Of every model its own; these stand for it until then, and name the work folder.
    placeholder = {"source.name": f"{old.resolve().name}-from-triton", "source.module": "from:triton"}
    given = read_migration(config, {**overrides, **placeholder})
    command = ["npuserve", "migrate", "--from-triton", str(old), "--repository", parsed.repository]
    progress = Progress()

    def convert(settings: Settings, work: Path) -> Path:
        ended, repository = run_whole(settings, work, progress)
        write_report(Migration(settings=settings, work=work), ended, command)
        demand(ended)
        return repository

    assert given.repository is not None
    outcomes = triton.write(
        triton.plan_migration(old),
        triton.Migration(
            target=given.repository,
            work=given.work,
            template=given.settings,
            samples=None if parsed.samples is None else Path(parsed.samples),
            keeps_onnx=parsed.fallback_onnxruntime,
        ),
        convert,
        progress.say,
    )
    print(table(triton.HEAD, triton.rows(outcomes)))
    print(f"repository: {given.repository}; serve it by: {_serve(given.repository)}")
    print(f"reports: {given.work}/MODEL/VERSION/report/report.html")
    return GATE_FAILED if any(each.status == "left" for each in outcomes) else PASSED


def _serve(repository: Path) -> str:
    return shlex.join(["npuserve", "serve", "--model-repository", str(repository)])
