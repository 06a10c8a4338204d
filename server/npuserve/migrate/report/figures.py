"""Turns the figures of stages into tables, whatever their columns are."""

from collections.abc import Mapping, Sequence
from typing import Any

from npuserve.migrate.report.document import Block, Cell, Mark, Paragraph, Table
from npuserve.migrate.report.numbers import shown
from npuserve.migrate.report.words import Words

Row = Mapping[str, Any]

MOST_ROWS = 60

_TITLES: Mapping[str, str] = {
    "load": "Latency and throughput",
    "task": "Task accuracy",
    "memory": "Memory",
    "consistency": "Consistency",
    "outputs": "Outputs",
    "layers": "Layers, the worst first",
    "single_operators": "Single operators",
    "mix_lists": "Lists of operators to keep in single precision",
    "latency": "Latency of the model alone",
    "precisions": "Precisions",
    "operators": "Operators",
    "padding": "Padding by the number of lengths",
    "smoke": "Smoke test",
    "rewrites": "Rewrites",
    "gears": "Gears (batch × length)",
    "first_bad": "First layer whose error jumps",
}
# Drawn, or told elsewhere.
_NOT_TABLES = frozenset({"cdf", "lengths", "versions"})

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
    single: list[tuple[str, Cell]] = []
    for name in names:
        if name in _NOT_TABLES or figures[name] in (None, "", [], {}):
            continue
        if rows := rows_of(figures, name):
            blocks += table_of(title(name, words), _arranged(name, rows), words, where)
        else:
            single.append((title(name, words), _cell(_text_of_pairs(figures, name) or figures[name], name, words)))
    if single:
        # Set to the left: they are not of one column.
        lines = [(Cell(name), Cell(cell.text, cell.mark)) for name, cell in single]
        blocks.insert(0, Table(head=(words("figure"), words("value")), rows=lines))
    return blocks


def table_of(caption: str, rows: Sequence[Row], words: Words, where: str) -> list[Block]:
    """Return a table of the rows, and a line about those that are left out."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[_cell(row.get(name), name, words) for name in columns] for row in rows[:MOST_ROWS]]
    blocks: list[Block] = [Table(head=[words.column(name) for name in columns], rows=cells, caption=caption)]
    if left := len(rows) - len(cells):
        blocks.append(Paragraph(words("{count} more are in {file}", count=left, file=where), mark="open"))
    return blocks


def title(name: str, words: Words) -> str:
    """Return the caption of a figure."""
    return words(_TITLES[name]) if name in _TITLES else words.column(name)


def _arranged(name: str, rows: Sequence[Row]) -> Sequence[Row]:
    """Return rows as they are best read."""
    if name == "layers":
        # What cannot be compared is worst of all.
        return sorted(rows, key=lambda row: (numbers_of(row, "cosine") or [-2.0])[0])
    if name == "load":
        return _against_baseline(rows)
    return rows


def _against_baseline(rows: Sequence[Row]) -> Sequence[Row]:
    """Return the rows with what share of the baseline's throughput and p99 they are."""
    base = {row.get("concurrency"): row for row in rows if row.get("server") == "baseline"}
    found = []
    for row in rows:
        of = base.get(row.get("concurrency"))
        ours = numbers_of(row, "qps", "p99_ms")
        theirs = None if of is None or of is row else numbers_of(of, "qps", "p99_ms")
        if ours and theirs and all(theirs):
            row = {**row, "QPS of baseline": ours[0] / theirs[0], "P99 of baseline": ours[1] / theirs[1]}
        found.append(row)
    return found


def _cell(value: Any, name: str, words: Words) -> Cell:
    if value is None:
        return Cell("")
    if isinstance(value, bool):
        return Cell(words("yes" if value else "no"))
    if isinstance(value, (int, float)):
        share = name in ("waste", "QPS of baseline", "P99 of baseline") or name.endswith("_share")
        return Cell(f"{value * 100:.1f} %" if share else shown(value), number=True)
    if isinstance(value, str):
        return Cell(words(value), mark=_mark(value) if name in ("status", "support") else "")
    if isinstance(value, Mapping):
        return Cell(", ".join(f"{key}: {_cell(each, '', words).text}" for key, each in value.items()))
    return Cell(", ".join(_cell(each, "", words).text for each in value))


def _mark(value: str) -> Mark:
    if value.lower() in _GOOD:
        return "good"
    return "bad" if value.lower() in _BAD else ""


def _text_of_pairs(figures: Mapping[str, Any], name: str) -> str:
    if name != "gears":
        return ""
    return ", ".join(f"{shown(batch)}×{shown(length)}" for batch, length in pairs_of(figures, name))


def _is_pair(pair: object) -> bool:
    return (
        isinstance(pair, list)
        and len(pair) == 2
        and all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in pair)
    )
