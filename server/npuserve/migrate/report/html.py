"""Writes a report as one HTML page that needs nothing else."""

from html import escape

from npuserve.migrate.report.document import Block, Cell, Commands, Document, Items, Paragraph, Plot, Section, Table
from npuserve.migrate.report.style import PAGE_STYLE

_LONG_WORD = 28
_SHORT = 18


def as_html(document: Document) -> str:
    """Return the page."""
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in document.facts)
    verdict = document.verdict
    return "\n".join(
        (
            "<!doctype html>",
            f'<html lang="{document.language}">',
            '<head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">',
            f"<title>{escape(document.title)}</title>",
            f"<style>{PAGE_STYLE}</style></head>",
            "<body>",
            f"<h1>{escape(document.title)}</h1>",
            f'<p class="verdict {verdict.mark}">{escape(verdict.text)}</p>',
            f"<dl>{facts}</dl>",
            *map(_section, document.sections),
            "</body>",
            "</html>",
            "",
        )
    )


def _section(section: Section) -> str:
    return "\n".join(("<section>", f"<h2>{escape(section.title)}</h2>", *map(_block, section.blocks), "</section>"))


def _block(block: Block) -> str:
    match block:
        case Table():
            return _table(block)
        case Paragraph(text=text, mark=mark):
            return f'<p class="{mark}">{escape(text)}</p>' if mark else f"<p>{escape(text)}</p>"
        case Items(texts=texts, caption=caption):
            items = "".join(f"<li>{escape(text)}</li>" for text in texts)
            return f"{_caption(caption)}<ul>{items}</ul>"
        case Commands(lines=lines, caption=caption):
            return f"{_caption(caption)}<pre>{escape(chr(10).join(lines))}</pre>"
        case Plot(svg=svg, caption=caption):
            return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>"


def _table(table: Table) -> str:
    head = "".join(
        f'<th class="number">{escape(name)}</th>' if number else f"<th>{escape(name)}</th>"
        for name, number in zip(table.head, table.numbers, strict=True)
    )
    rows = "\n".join(f"<tr>{''.join(map(_cell, row, table.numbers))}</tr>" for row in table.rows)
    return (
        f'{_caption(table.caption)}<div class="wide"><table><thead><tr>{head}</tr></thead>\n'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _cell(cell: Cell, number: bool) -> str:
    # Only what is long may break within a word; else narrow columns would break short ones.
    long = any(len(word) > _LONG_WORD for word in cell.text.split())
    short = len(cell.text) <= _SHORT
    kinds = " ".join(kind for kind in (cell.mark, "number" * number, "long" * long, "short" * short) if kind)
    text = escape(cell.text).replace("\n", "<br>")
    return f'<td class="{kinds}">{text}</td>' if kinds else f"<td>{text}</td>"


def _caption(text: str) -> str:
    return f'<p class="caption">{escape(text)}</p>' if text else ""
