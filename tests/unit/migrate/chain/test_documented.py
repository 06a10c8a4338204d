"""The page on migrations knows every setting and its default."""

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

from npuserve.migrate.chain import settings

PAGE = Path(__file__).resolve().parents[4] / "docs" / "migration.md"


def test_every_setting_is_there_with_its_default() -> None:
    documented = tomllib.loads(PAGE.read_text(encoding="utf-8").partition("```toml\n")[2].partition("```")[0])
    tables = {field.name: field.type for field in dataclasses.fields(settings.Settings)}
    del tables["language"]
    assert {name for name in documented if isinstance(documented[name], dict)} == tables.keys()
    for table, part in tables.items():
        assert isinstance(part, type)
        fields: dict[str, Any] = {field.name: field.default for field in dataclasses.fields(part)}
        assert documented[table].keys() == fields.keys()
        for name, default in fields.items():
            if default not in (None, "", dataclasses.MISSING):
                shown = documented[table][name]
                assert (tuple(shown) if isinstance(shown, list) else shown) == default, f"{table}.{name}"
