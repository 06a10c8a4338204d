"""A stage's result as `result.json`, beside its artifacts: what a later run, and the report, read back."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from npuserve.migrate.chain.gates import Check
from npuserve.migrate.chain.stage import Result

FILE = "result.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A finished stage. fingerprint: of what it depends on; after: the runs of the stages before it, by folder.

    run: names this run of the stage. started: in ISO 8601, with the zone.
    """

    title: str
    fingerprint: str
    after: Mapping[str, str]
    run: str
    started: str
    npuserve: str
    result: Result


def write_record(folder: Path, record: Record) -> None:
    """Write the file. Raises OSError."""
    described = {
        "title": record.title,
        "fingerprint": record.fingerprint,
        "after": dict(record.after),
        "run": record.run,
        "started": record.started,
        "npuserve": record.npuserve,
        "passed": record.result.passed,
        "result": {
            **{name: getattr(record.result, name) for name in _PLAIN},
            "checks": [asdict(check) for check in record.result.checks],
        },
    }
    text = json.dumps(plain(described), ensure_ascii=False, indent=1, allow_nan=False)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")


def read_record(folder: Path) -> Record | None:
    """Return what `write_record` wrote; None if it is not there, or of another make."""
    try:
        described = json.loads((folder / FILE).read_text(encoding="utf-8"))
        result = described["result"]
        checks = [Check(**{**check, **_numbers(check)}) for check in result["checks"]]
        return Record(
            **{name: described[name] for name in ("title", "fingerprint", "after", "run", "started", "npuserve")},
            result=Result(checks=checks, **{name: result[name] for name in _PLAIN}),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


_PLAIN = ("artifacts", "commands", "advice", "notes", "figures", "seconds", "foreign_seconds")


def plain(value: object) -> Any:
    """Return a value as JSON knows it: NaN and infinities as texts, arrays as lists, paths as texts."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        # NumPy's double is a float, too; JSON's own is plain.
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [plain(each) for each in value]
    # Scalars and arrays of NumPy.
    if (tolist := getattr(value, "tolist", None)) is not None:
        return plain(tolist())
    return str(value)


def _numbers(check: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(check[name]) for name in ("value", "limit")}
