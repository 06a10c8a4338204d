"""Reads `migration.toml`: tables are the parts of the settings, keys their fields; flags go before the file."""

import dataclasses
import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

from npuserve.migrate.chain.settings import Settings
from npuserve.migrate.chain.typed import typed
from npuserve.migrate.errors import MigrationError

Overrides = Mapping[str, object]
"""Values by dotted name, as `source.checkpoint`, of TOML's types; paths in them are relative to the current folder."""

_PATHS = ("work", "repository")
_SOURCES = ("checkpoint", "module", "onnx")


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """What a run is asked for. work: the folder of stages. repository: where an approved model goes; None: nowhere."""

    settings: Settings
    work: Path
    repository: Path | None = None
    file: Path | None = None


def read_migration(file: Path | None, overrides: Overrides) -> Migration:
    """Return the settings of a file, if there is one, under what flags say. Raises MigrationError."""
    given = {} if file is None else _read(file)
    parts: dict[str, Any] = {
        name: hint for name, hint in get_type_hints(Settings).items() if dataclasses.is_dataclass(hint)
    }
    # Resolved, so that commands in the report hold from any folder.
    folder = Path.cwd() if file is None else file.resolve().parent
    values: dict[str, Any] = {name: {} for name in parts}
    for name, value in given.items():
        if name not in parts:
            values[name] = _top(name, value, parts, folder)
            continue
        if not isinstance(value, dict):
            raise MigrationError(f"{name} must be a table, [{name}], got {value!r}")
        values[name] = _part(name, value, parts[name], folder)
    _override(values, overrides, parts)
    if not values["source"].get("name"):
        values["source"]["name"] = _default_name(values["source"])
    work, repository = values.pop("work", None), values.pop("repository", None)
    built: dict[str, Any] = {name: parts[name](**value) if name in parts else value for name, value in values.items()}
    settings = Settings(**built)
    _check_paths(settings)
    name = settings.source.name
    return Migration(settings=settings, work=work or folder / f"{name}-migration", repository=repository, file=file)


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise MigrationError(f"cannot read {file}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MigrationError(f"{file} is not TOML: {error}") from error


def _top(name: str, value: object, parts: Mapping[str, Any], folder: Path) -> object:
    if name in _PATHS:
        return typed(value, Path, name, folder)
    if name == "language":
        return typed(value, str, name, folder)
    what = f"unknown table [{name}]" if isinstance(value, dict) else f"unknown key {name}"
    raise _unknown(what, name, (*parts, "language", *_PATHS))


def _part(table: str, given: Mapping[str, object], part: Any, folder: Path) -> dict[str, object]:
    hints = get_type_hints(part)
    for key in given:
        if key not in hints:
            raise _unknown(f"unknown key {table}.{key}", key, hints)
    return {key: typed(value, hints[key], f"{table}.{key}", folder) for key, value in given.items()}


def _override(values: dict[str, Any], overrides: Overrides, parts: Mapping[str, Any]) -> None:
    here = Path.cwd()
    for dotted, value in overrides.items():
        table, _, key = dotted.rpartition(".")
        if not table:
            values[key] = _top(key, value, parts, here)
            continue
        if table == "source" and key in _SOURCES:
            # The flag says what is migrated instead of what the file says.
            for other in _SOURCES:
                values[table].pop(other, None)
        values[table] |= _part(table, {key: value}, parts[table], here)


def _default_name(source: Mapping[str, Any]) -> str:
    """Return a name made of what is migrated, or "", which the settings refuse."""
    if checkpoint := source.get("checkpoint"):
        return str(checkpoint.resolve().name)
    if onnx := source.get("onnx"):
        return str(onnx.stem)
    return str(source.get("module", "")).rpartition(":")[2]


def _check_paths(settings: Settings) -> None:
    """Raise MigrationError for a file or folder that is not there."""
    for table in (part.name for part in dataclasses.fields(settings)):
        part = getattr(settings, table)
        if not dataclasses.is_dataclass(part):
            continue
        for each in dataclasses.fields(part):
            value = getattr(part, each.name)
            for path in value if isinstance(value, tuple) else (value,):
                if isinstance(path, Path) and not path.exists():
                    raise MigrationError(f"{table}.{each.name} is not there: {path}")


def _unknown(what: str, name: str, known: Iterable[str]) -> MigrationError:
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    return MigrationError(f"{what}" + (f", did you mean {near[0]}?" if near else f", expected {', '.join(names)}"))
