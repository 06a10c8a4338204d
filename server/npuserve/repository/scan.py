"""What a model repository holds: folders, seen once; nothing is opened."""

import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_log = logging.getLogger(__name__)

AMBIGUOUS = "model appears in two or more repositories"
MAX_VERSION = 2**63 - 1
"""Triton keeps versions in 64-bit signed integers."""

_NEVER_VERSIONS = frozenset({"configs", "initial_state", "warmup"})


@dataclass(frozen=True, slots=True)
class ModelDirectory:
    """A model's folder, named as the model, and its version numbers, ascending.

    config_name: which of the configs in its folder `configs` goes before `config.pbtxt`; "" for none.
    """

    name: str
    path: Path
    versions: tuple[int, ...]
    config_name: str = ""

    @property
    def config_path(self) -> Path:
        """Where the config is, if there is one. Asks the disk if there may be several."""
        if self.config_name:
            named = self.path / "configs" / f"{self.config_name}.pbtxt"
            if named.exists():
                return named
        return self.path / "config.pbtxt"

    def version_path(self, version: int) -> Path:
        """Return the folder of a version."""
        return self.path / str(version)


@dataclass(frozen=True, slots=True)
class Scan:
    """What the repositories hold: models by name, and why the others cannot be loaded."""

    models: dict[str, ModelDirectory]
    failures: dict[str, str]


def scan_repositories(repositories: Iterable[Path], config_name: str = "") -> Scan:
    """List the models of all repositories. Files and hidden folders are passed over. Raises OSError."""
    models: dict[str, ModelDirectory] = {}
    failures: dict[str, str] = {}
    for path in _folders(repositories):
        if path.name in models or path.name in failures:
            failures[path.name] = AMBIGUOUS
            continue
        try:
            models[path.name] = _directory(path, config_name)
        except OSError as error:
            failures[path.name] = str(error)
    return Scan({name: model for name, model in sorted(models.items()) if name not in failures}, failures)


def find_model(repositories: Iterable[Path], name: str, config_name: str = "") -> ModelDirectory | None:
    """Return the one folder of a model; None if there is none, or more than one. Raises OSError."""
    found = [path for path in _folders(repositories) if path.name == name]
    return _directory(found[0], config_name) if len(found) == 1 else None


def list_names(repositories: Iterable[Path]) -> dict[str, str]:
    """Return why the model of each folder cannot be loaded: "" or AMBIGUOUS, by name. Raises OSError."""
    names: dict[str, str] = {}
    for path in _folders(repositories):
        names[path.name] = AMBIGUOUS if path.name in names else ""
    return names


def _folders(repositories: Iterable[Path]) -> Iterator[Path]:
    for repository in repositories:
        for path in sorted(repository.iterdir()):
            if path.is_dir() and not path.name.startswith("."):
                yield path


def _directory(path: Path, config_name: str) -> ModelDirectory:
    return ModelDirectory(path.name, path, _versions(path), config_name)


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


_Stamps = frozenset[tuple[str, int, int]]


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The files of a model's folder by path, modification time and size: equal as long as nothing was changed.

    shared: those outside of the version folders. versions: those within, by version.
    """

    shared: _Stamps
    versions: dict[int, _Stamps]


def fingerprint(directory: ModelDirectory) -> Fingerprint:
    """Look at every file of a model's folder; what Python caches there while it runs a model is no change of it.

    Raises OSError.
    """
    versions = {version: _stamps(directory.version_path(version)) for version in directory.versions}
    return Fingerprint(_stamps(directory.path, {str(version) for version in versions}), versions)


def _stamps(folder: Path, skipped: Iterable[str] = ()) -> _Stamps:
    stamps: set[tuple[str, int, int]] = set()
    for path, folders, files in os.walk(folder):
        folders[:] = [
            name
            for name in folders
            if name != "__pycache__" and not name.startswith(".") and not (path == str(folder) and name in skipped)
        ]
        for name in files:
            status = _status(Path(path) / name)
            stamps.add((f"{path}/{name}", status.st_mtime_ns, status.st_size))
    return frozenset(stamps)


def _status(path: Path) -> os.stat_result:
    """Look at a file, or at the link itself if it leads nowhere. Raises OSError."""
    try:
        return path.stat()
    except OSError:
        return path.lstat()
