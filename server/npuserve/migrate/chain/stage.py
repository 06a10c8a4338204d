"""The one interface between the chain and its stages."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from npuserve.migrate.chain.gates import Check, failed
from npuserve.migrate.chain.settings import Settings

Tell = Callable[[str], None]
"""Shows what a stage does now, in a few words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a stage found. Written beside its artifacts as `result.json`, so everything in it is plain JSON.

    checks: the gate. artifacts: file names within the stage's folder, and what each is.
    commands: shell lines that do the same by hand. advice: what to try, if the gate failed; the first is the best.
    figures: tables and numbers for the report, by name. foreign_seconds: spent in other people's programs (torch, the
    compiler, a server under load), of all `seconds`.
    """

    checks: Sequence[Check] = ()
    artifacts: Mapping[str, str] = field(default_factory=dict)
    commands: Sequence[str] = ()
    advice: Sequence[str] = ()
    notes: Sequence[str] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    foreign_seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return not failed(self.checks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """Where the chain works. work: has a folder a stage: S1_export, S2_compile, S3_compare, S4_serve, S5_prove."""

    settings: Settings
    work: Path

    def folder(self, stage: "Stage") -> Path:
        """Return a finished stage's folder."""
        return self.work / stage.folder


class Stage(Protocol):
    """One stage: it reads the folders of finished stages, and fills its own, which counts only once it is done."""

    @property
    def folder(self) -> str:
        """The folder's name, as `S1_export`."""
        ...

    @property
    def title(self) -> str:
        """What it does, in a few words."""
        ...

    def fingerprint(self, workspace: Workspace) -> str:
        """Return a text that changes with whatever the result depends on: then the stage runs again."""
        ...

    def run(self, workspace: Workspace, folder: Path, tell: Tell) -> Result:
        """Do the work, with all artifacts in `folder`, which is empty. Raises MigrationError."""
        ...
