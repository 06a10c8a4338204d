"""Puts approved models into a repository that serves."""

import filecmp
import shutil
from pathlib import Path

from npuserve.migrate.errors import MigrationError


def check_free(source: Path, repository: Path) -> None:
    """Raise MigrationError if a model of the name is in the repository already, and is another."""
    for model in _models(source):
        target = repository / model.name
        if target.exists() and not _equal(model, target):
            raise MigrationError(
                f"{repository} has another model {model.name} already",
                f"remove {target}, or give another --repository",
            )


def publish(source: Path, repository: Path) -> list[Path]:
    """Copy the models of `source` that are not there yet; each appears as a whole. Raises MigrationError, OSError."""
    check_free(source, repository)
    repository.mkdir(parents=True, exist_ok=True)
    published = []
    for model in _models(source):
        target = repository / model.name
        if not target.exists():
            _copy(model, target)
        published.append(target)
    return published


def _copy(model: Path, target: Path) -> None:
    # A server that polls the repository passes over names that start with a dot.
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        shutil.copytree(model, partial)
        partial.rename(target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _models(source: Path) -> list[Path]:
    return sorted(path for path in source.iterdir() if path.is_dir() and not path.name.startswith("."))


def _equal(one: Path, other: Path) -> bool:
    names = _files(one)
    if names != _files(other):
        return False
    _, different, unreadable = filecmp.cmpfiles(one, other, names, shallow=False)
    return not different and not unreadable


def _files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
