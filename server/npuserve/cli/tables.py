"""Tables for the log, as Triton draws them at start-up."""

from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a frame of `+`, `-` and `|` around the cells, which may have several lines. No line ends it."""
    split = [[cell.split("\n") for cell in row] for row in (head, *rows)]
    widths = [max(len(line) for row in split for line in row[column]) for column in range(len(head))]
    rule = "+" + "+".join("-" * (width + 2) for width in widths) + "+"
    drawn = [rule, *_lines(split[0], widths), rule]
    for row in split[1:]:
        drawn += _lines(row, widths)
    return "\n".join(drawn + [rule] * bool(rows))


def _lines(row: Sequence[Sequence[str]], widths: Sequence[int]) -> list[str]:
    height = max(len(cell) for cell in row)
    padded = [[*cell, *[""] * (height - len(cell))] for cell in row]
    return [
        "| " + " | ".join(line.ljust(width) for line, width in zip(parts, widths, strict=True)) + " |"
        for parts in zip(*padded, strict=True)
    ]
