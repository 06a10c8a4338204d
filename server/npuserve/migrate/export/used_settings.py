"""The settings of an export as a `migration.toml` of its own, from which one command repeats it."""

import dataclasses
import json
import shlex
from collections.abc import Iterator
from pathlib import Path

from npuserve.migrate.chain.settings import Settings

FILE = "migration.toml"
_REPEATED = "repeated"


def used_settings(settings: Settings) -> str:
    """Return what the export depends on, as TOML: what differs from the defaults, with absolute paths."""
    lines: list[str] = []
    for table, part in (("source", settings.source), ("export", settings.export)):
        if given := list(_given(part)):
            lines += [f"[{table}]", *(f"{name} = {_shown(value)}" for name, value in given), ""]
    return "\n".join(lines)


def repeat_command(folder: Path) -> str:
    """Return the command that does the export again, in a folder of its own. folder: the stage's, finished."""
    return shlex.join(["npuserve", "migrate", "export", "--config", str(folder / FILE), "--work", _REPEATED])


def _given(part: object) -> Iterator[tuple[str, object]]:
    assert dataclasses.is_dataclass(part)
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        if value != field.default:
            yield field.name, value


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(value, Path):
        return json.dumps(str(value.absolute()), ensure_ascii=False)
    # Of texts, truth values and numbers TOML's are JSON's.
    return json.dumps(value, ensure_ascii=False)
