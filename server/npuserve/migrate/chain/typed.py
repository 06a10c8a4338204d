"""Values of TOML as the settings' types want them."""

import os
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from npuserve.migrate.errors import MigrationError

_WORDS: Mapping[type, str] = {str: "a text", bool: "true or false", int: "a whole number", float: "a number"}


def typed(value: object, annotation: Any, name: str, folder: Path) -> Any:
    """Return a value of the annotated type; paths are relative to `folder`. Raises MigrationError, naming `name`."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        # Optional ones alone: TOML has no null, so what is given is of the other type.
        return typed(value, next(part for part in parts if part is not types.NoneType), name, folder)
    if origin is Literal:
        return _literal(value, parts, name)
    if origin is tuple:
        if not isinstance(value, list):
            raise _wrong(name, f"a list, as [{_example(parts[0])}]", value)
        return tuple(typed(each, parts[0], f"{name}[{place}]", folder) for place, each in enumerate(value))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            raise _wrong(name, "a table", value)
        return {key: typed(each, parts[1], f"{name}.{key}", folder) for key, each in value.items()}
    if annotation is Path:
        # Without `..`, for messages; not resolved, as a link may be meant to change.
        return Path(os.path.normpath(folder / Path(_text(value, name, "a path")).expanduser()))
    return _plain(value, annotation, name)


def _plain(value: object, wanted: type, name: str) -> object:
    if wanted is str:
        return _text(value, name, "a text")
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    # A bool is an int to Python, and to nobody else.
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        raise _wrong(name, _WORDS[wanted], value)
    return value


def _literal(value: object, choices: tuple[object, ...], name: str) -> object:
    if value not in choices:
        raise MigrationError(f"{name} must be {' or '.join(map(str, choices))}, got {_shown(value)}")
    return value


def _text(value: object, name: str, word: str) -> str:
    if not isinstance(value, str):
        raise _wrong(name, word, value)
    return value


def _wrong(name: str, wanted: str, value: object) -> MigrationError:
    return MigrationError(f"{name} must be {wanted}, got {_shown(value)}")


def _shown(value: object) -> str:
    if isinstance(value, str):
        return f"'{value}'"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _example(part: Any) -> str:
    return "1, 2" if part in (int, float) else '"a", "b"'
