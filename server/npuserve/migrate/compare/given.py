"""What the stages before left."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from npuserve.migrate.chain.settings import CompileSettings
from npuserve.migrate.chain.stage import Workspace
from npuserve.migrate.compile.atc import COMMAND
from npuserve.migrate.errors import MigrationError

EXPORTED, COMPILED = "S1_export", "S2_compile"
QUANTIZED = "quantized.onnx"


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The ONNX model, the OM that was made from it, and samples of their inputs."""

    model: Path
    om: Path
    samples: Path


def given(workspace: Workspace) -> Given:
    """Return what there is to compare. Raises MigrationError for a file that is not there."""
    exported, compiled = workspace.work / EXPORTED, workspace.work / COMPILED
    found = Given(
        model=_model(exported, compiled),
        om=compiled / "model.om",
        samples=exported / "baseline.npz",
    )
    for path in (found.model, found.om, found.samples):
        if not path.is_file():
            raise MigrationError(f"there is no {path}: run the stages before this one first")
    return found


def _model(exported: Path, compiled: Path) -> Path:
    """Return the graph to compare with: a quantized one as ONNX Runtime reads it, whatever the compiler was given."""
    quantized = compiled / QUANTIZED
    return quantized if quantized.is_file() else _compiled_from(compiled / COMMAND) or exported / "model.onnx"


def _compiled_from(command: Path) -> Path | None:
    """Return the model that S2's command names: a quantized one is not S1's."""
    if command.is_file():
        for flag in shlex.split(command.read_text()):
            name, _, path = flag.partition("=")
            if name == "--model" and Path(path).is_file():
                return Path(path)
    return None


def precision_mode(settings: CompileSettings) -> str:
    """Return the precision mode that counts: that of the newer flag, if it is given among the extra ones."""
    for flag in settings.extra:
        name, _, value = flag.partition("=")
        if name == "--precision_mode_v2":
            return value
    return settings.precision
