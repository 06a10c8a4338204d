"""What became of each model, as a table and as JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Status = Literal["converted", "copied", "left"]
STATUSES: tuple[Status, ...] = ("converted", "copied", "left")

HEAD = ("model", "status", "versions", "remarks")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One model. backend: what ran it, and what runs it now; reason: why it was not converted, or not carried."""

    name: str
    status: Status
    versions: tuple[int, ...] = ()
    was: str = ""
    backend: str = ""
    reason: str = ""
    notes: tuple[str, ...] = ()


def rows(outcomes: Sequence[Outcome]) -> list[tuple[str, ...]]:
    """Return a row a model, of HEAD's columns."""
    return [
        (
            each.name,
            each.status + (f" ({each.was} to {each.backend})" if each.status == "converted" else ""),
            ", ".join(map(str, each.versions)),
            "; ".join(text for text in (each.reason, *each.notes) if text),
        )
        for each in outcomes
    ]


def as_json(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return it as plain JSON."""
    return {
        "models": [
            {
                "name": each.name,
                "status": each.status,
                "versions": list(each.versions),
                "was": each.was,
                "backend": each.backend,
                "reason": each.reason,
                "notes": list(each.notes),
            }
            for each in outcomes
        ],
        "counts": {status: sum(each.status == status for each in outcomes) for status in STATUSES},
    }
