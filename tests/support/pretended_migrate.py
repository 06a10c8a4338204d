"""`npuserve migrate` with stages that pretend, as a program of its own: it may be killed.

PRETEND: what stages do, as `S2_compile=sleeping,S3_compare=failing`.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from npuserve.cli.main import main
from npuserve.migrate.chain import stages
from npuserve.migrate.chain.stage import Result, Tell, Workspace
from support import migration


def filling(workspace: Workspace, folder: Path, tell: Tell) -> Result:
    """Write more than there is room for."""
    with (folder / "model.om").open("wb") as file:
        for _ in range(64):
            file.write(bytes(1 << 20))
            file.flush()
    return Result()


def serving(workspace: Workspace, folder: Path, tell: Tell) -> Result:
    """Leave a repository."""
    model = folder / "repository" / workspace.settings.source.name / "1"
    model.mkdir(parents=True)
    (model / "model.onnx").write_text(workspace.settings.serve.backend)
    return Result(artifacts={"repository": "the model"})


_BEHAVIOURS = {
    "sleeping": migration.sleeping,
    "failing": migration.failing,
    "filling": filling,
    "serving": serving,
}

if __name__ == "__main__":
    stages.ALL = migration.PLACES
    stages.EXPORT, stages.SERVE, stages.PROVE = migration.PLACES[0], migration.PLACES[3], migration.PLACES[4]
    for pair in filter(None, os.environ.get("PRETEND", "").split(",")):
        folder, _, name = pair.partition("=")
        migration.BEHAVIOURS[folder] = _BEHAVIOURS[name]
    sys.exit(main(["migrate", *sys.argv[1:]]))
