"""Which stages there are, and where: imported when they are reached, as each needs packages of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from npuserve.migrate.chain.settings import Settings
from npuserve.migrate.chain.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePlace:
    """A stage before it is imported. command: its name for `npuserve migrate`."""

    command: str
    folder: str
    module: str
    class_name: str

    def load(self) -> Stage:
        """Import the stage. Raises ImportError."""
        return cast("Stage", getattr(import_module(self.module), self.class_name)())


EXPORT = StagePlace(command="export", folder="S1_export", module="npuserve.migrate.export", class_name="ExportStage")
COMPILE = StagePlace(
    command="compile", folder="S2_compile", module="npuserve.migrate.compile", class_name="CompileStage"
)
COMPARE = StagePlace(
    command="compare", folder="S3_compare", module="npuserve.migrate.compare", class_name="CompareStage"
)
SERVE = StagePlace(command="serve", folder="S4_serve", module="npuserve.migrate.serve", class_name="ServeStage")
PROVE = StagePlace(command="prove", folder="S5_prove", module="npuserve.migrate.prove", class_name="ProveStage")

ALL: tuple[StagePlace, ...] = (EXPORT, COMPILE, COMPARE, SERVE, PROVE)


def stages_of(settings: Settings) -> Sequence[StagePlace]:
    """Return the stages of a migration; the fallback to ONNX Runtime has nothing to compile."""
    if settings.serve.backend == "onnxruntime":
        return (EXPORT, SERVE, PROVE)
    return ALL
