import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from npuserve.migrate.chain.progress import Progress
from npuserve.migrate.chain.runner import Runner
from npuserve.migrate.chain.settings import ServeSettings
from npuserve.migrate.chain.stage import Workspace
from npuserve.migrate.chain.stages import stages_of
from npuserve.migrate.report.write import write_report
from support import migration

Report = Callable[..., Path]


@pytest.fixture
def report(tmp_path: Path) -> Iterator[Report]:
    """Write the report of a pretended run, all of whose stages have figures, and return the report's folder."""

    def write(language: str = "en", fallback: bool = False, **behaviours: migration.Behaviour) -> Path:
        serve = ServeSettings(backend="onnxruntime" if fallback else "ascend")
        given = migration.migration(tmp_path, language=language, serve=serve)
        given.work.mkdir(exist_ok=True)
        for folder in migration.FIGURES:
            migration.BEHAVIOURS[folder] = behaviours.get(folder, migration.with_figures(folder))
        commands = [place.command for place in stages_of(given.settings)]
        places = [place for place in migration.PLACES if place.command in commands]
        run = Runner(Workspace(settings=given.settings, work=given.work), places, Progress(io.StringIO())).run()
        return write_report(given, run, ["npuserve", "migrate", "--name", "it's"]).parent

    yield write
    migration.BEHAVIOURS.clear()
