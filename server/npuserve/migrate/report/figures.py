"""Turns the figures of stages into tables, whatever their columns are."""

from collections.abc import Mapping, Sequence
from typing import Any

from npuserve.migrate.report.document import Block, Cell, Mark, Paragraph, Table
from npuserve.migrate.report.numbers import measured, shown
from npuserve.migrate.report.words import Words

Row = Mapping[str, Any]

MOST_ROWS = 60

_TITLES: Mapping[str, str] = {
    "load": "Latency and throughput",
    "task": "Task accuracy",
    "memory": "Memory",
    "consistency": "Consistency",
    "outputs": "Outputs",
    "limits": "Limits of the precision",
    "first_bad_layer": "First layer whose error jumps",
    "worst_layers": "Layers, the worst first",
    "single_operators": "Operators run alone, with right inputs",
    "candidates": "What could be kept in single precision",
    "latency": "Latency of the model alone",
    "precisions": "Precisions",
    "operators": "Operators",
    "gears": "Gears (batch × length)",
    "padding": "Padding by the number of lengths",
    "rewrites": "Rewrites",
}

# Of figures that tell more than a page can hold: which, by path.
_COLUMNS: Mapping[str, Sequence[str]] = {
    "limits": ("output", "min_cosine", "max_abs", "mean_abs", "why"),
    "worst_layers": ("name", "kind", "cosine", "max_abs", "mean_abs", "relative"),
    "single_operators": ("name", "kind", "faulty", "relative_in_model", "alone.relative", "alone.max_abs", "failure"),
    "candidates": ("name", "kept_layers", "p50_ms", "holds"),
}
# Drawn, or told elsewhere.
_NOT_TABLES = frozenset({"cdf", "lengths", "versions", "error_by_depth"})

_GOOD = frozenset({"pass", "passed", "ok", "right", "equal", "supported", "true"})
_BAD = frozenset({"fail", "failed", "wrong", "different", "unsupported", "error", "false"})


def rows_of(figures: Mapping[str, Any], name: str) -> list[Row]:
    """Return a figure that is a list of objects; any other is none."""
    value = figures.get(name)
    if not isinstance(value, list) or not all(isinstance(row, Mapping) for row in value):
        return []
    return value


def numbers_of(row: Row, *names: str) -> list[float] | None:
    """Return the numbers of a row under these names; None unless all are there."""
    values = [row.get(name) for name in names]
    if any(isinstance(value, bool) or not isinstance(value, (int, float)) for value in values):
        return None
    return [float(value) for value in values if value is not None]


def pairs_of(figures: Mapping[str, Any], name: str) -> list[tuple[float, float]]:
    """Return a figure that is a list of pairs of numbers; what is none is left out."""
    value = figures.get(name)
    if not isinstance(value, list):
        return []
    return [(float(pair[0]), float(pair[1])) for pair in value if _is_pair(pair)]


def blocks_of(figures: Mapping[str, Any], words: Words, *, where: str) -> list[Block]:
    """Return all figures that tables can hold. where: the file that has the rows beyond the first."""
    names = [*(name for name in _TITLES if name in figures), *(name for name in figures if name not in _TITLES)]
    blocks: list[Block] = []
    single: list[tuple[Cell, Cell]] = []
    for name in names:
        if name in _NOT_TABLES or figures[name] in (None, "", [], {}):
            continue
        if rows := rows_of(figures, name):
            blocks += _table(title(name, words), _arranged(name, rows), words, where)
            blocks += _ulps(rows, words)
        else:
            cell = _single(name, figures, words)
            single.append((Cell(_name_of_single(name, words)), Cell(cell.text, cell.mark)))
    if single:
        blocks.insert(0, Table(head=(words("figure"), words("value")), rows=single))
    return blocks


def _table(caption: str, rows: Sequence[Row], words: Words, where: str) -> list[Block]:
    """Return a table of the rows, and a line about those that are left out."""
    named = dict.fromkeys(name for row in rows for name in row)
    columns = [name for name in named if any(row.get(name) not in (None, "") for row in rows)]
    cells = [[_cell(row.get(name), name, words) for name in columns] for row in rows[:MOST_ROWS]]
    blocks: list[Block] = [Table(head=[words.column(name) for name in columns], rows=cells, caption=caption)]
    if left := len(rows) - len(cells):
        blocks.append(Paragraph(words("{count} more are in {file}", count=left, file=where), mark="open"))
    return blocks


def _ulps(rows: Sequence[Row], words: Words) -> list[Block]:
    """Return what share of each layer's elements lies how many steps off, if rows tell."""
    found = [(row, ulps) for row in rows if isinstance(ulps := row.get("ulps"), Mapping) and sum(ulps.values())]
    ranges = list(dict.fromkeys(name for _, ulps in found for name in ulps))
    if not found:
        return []
    cells = [
        [Cell(str(row.get("name", "")))]
        + [Cell(f"{100 * ulps.get(name, 0) / sum(ulps.values()):.1f} %", number=True) for name in ranges]
        for row, ulps in found
    ]
    return [Table(head=(words("name"), *ranges), rows=cells, caption=words("Elements by their error in ULP"))]


def _name_of_single(name: str, words: Words) -> str:
    # Others of the names are tables' where they are tables.
    return title(name, words) if name in ("gears", "first_bad_layer") else words.column(name)


def _single(name: str, figures: Mapping[str, Any], words: Words) -> Cell:
    """Return a figure that is no table."""
    value = figures[name]
    if name == "gears":
        return Cell(", ".join(f"{shown(batch)}×{shown(length)}" for batch, length in pairs_of(figures, name)))
    if name == "first_bad_layer" and isinstance(value, Mapping):
        return Cell(f"{value.get('name', '')} ({value.get('kind', '')})", "bad")
    return _cell(value, name, words)


def title(name: str, words: Words) -> str:
    """Return the caption of a figure."""
    return words(_TITLES[name]) if name in _TITLES else words.column(name)


def _arranged(name: str, rows: Sequence[Row]) -> Sequence[Row]:
    """Return rows as they are best read."""
    if name in _COLUMNS:
        found = [{path: _at(row, path) for path in _COLUMNS[name]} for row in rows]
        there = [path for path in _COLUMNS[name] if any(row[path] not in (None, "") for row in found)]
        return [{path.replace(".", " "): row[path] for path in there} for row in found]
    return rows


def _at(row: Row, path: str) -> Any:
    value: Any = row
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _cell(value: Any, name: str, words: Words) -> Cell:
    if value is None:
        return Cell("")
    if isinstance(value, bool):
        return Cell(words("yes" if value else "no"))
    if isinstance(value, (int, float)):
        share = name in ("waste", "argmax_agreement", "argmax agreement") or name.endswith("_share")
        return Cell(f"{value * 100:.1f} %" if share else measured(value), number=True)
    if isinstance(value, str):
        return Cell(words.sentence(value), mark=_mark(value) if name in ("status", "support") else "")
    if isinstance(value, Mapping):
        return Cell(", ".join(f"{key}: {_cell(each, '', words).text}" for key, each in value.items()))
    return Cell(", ".join(_cell(each, "", words).text for each in value))


def _mark(value: str) -> Mark:
    if value.lower() in _GOOD:
        return "good"
    return "bad" if value.lower() in _BAD else ""


def _is_pair(pair: object) -> bool:
    return (
        isinstance(pair, list)
        and len(pair) == 2
        and all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in pair)
    )
