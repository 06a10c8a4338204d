"""What a model repository holds: folders, seen once; nothing is opened."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_log = logging.getLogger(__name__)

AMBIGUOUS = "model appears in two or more repositories"
MAX_VERSION = 2**63 - 1
"""Triton keeps versions in 64-bit signed integers."""

_NEVER_VERSIONS = frozenset({"configs", "initial_state", "warmup"})


@dataclass(frozen=True, slots=True)
class ModelDirectory:
    """A model's folder, named as the model, and its version numbers, ascending."""

    name: str
    path: Path
    versions: tuple[int, ...]

    @property
    def config_path(self) -> Path:
        """Where the config is, if there is one."""
        return self.path / "config.pbtxt"

    def version_path(self, version: int) -> Path:
        """Return the folder of a version."""
        return self.path / str(version)


@dataclass(frozen=True, slots=True)
class Scan:
    """What the repositories hold: models by name, and why the others cannot be loaded."""

    models: dict[str, ModelDirectory]
    failures: dict[str, str]


def scan_repositories(repositories: Iterable[Path]) -> Scan:
    """List the models of all repositories. Files and hidden folders are passed over. Raises OSError."""
    models: dict[str, ModelDirectory] = {}
    failures: dict[str, str] = {}
    for repository in repositories:
        for path in sorted(repository.iterdir()):
            if not path.is_dir() or path.name.startswith("."):
                continue
            if path.name in models or path.name in failures:
                failures[path.name] = AMBIGUOUS
                continue
            try:
                models[path.name] = ModelDirectory(path.name, path, _versions(path))
            except OSError as error:
                failures[path.name] = str(error)
    return Scan({name: model for name, model in sorted(models.items()) if name not in failures}, failures)


def _versions(model: Path) -> tuple[int, ...]:
    """Return the version numbers: folders named by an integer above 0 without a leading zero."""
    versions: list[int] = []
    for path in model.iterdir():
        name = path.name
        if not path.is_dir() or name in _NEVER_VERSIONS:
            continue
        if not (name.isascii() and name.isdigit()) or int(name) > MAX_VERSION:
            _log.warning(
                "model '%s': ignore version directory '%s' which fails to convert to integral number", model.name, name
            )
        elif name.startswith("0"):
            _log.warning(
                "model '%s': ignore version directory '%s' which contains leading zeros in its directory name",
                model.name,
                name,
            )
        else:
            versions.append(int(name))
    return tuple(sorted(versions))
