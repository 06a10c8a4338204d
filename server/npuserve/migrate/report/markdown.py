"""Writes a report as Markdown; its drawings are files beside it."""

from npuserve.migrate.report.document import Block, Cell, Commands, Document, Items, Paragraph, Plot, Section, Table


def as_markdown(document: Document) -> str:
    """Return the text."""
    facts = "\n".join(f"- {_line(name)}: {_line(value)}" for name, value in document.facts)
    parts = [f"# {_line(document.title)}", f"**{_line(document.verdict.text)}**", facts]
    return "\n\n".join([*parts, *map(_section, document.sections)]) + "\n"


def _section(section: Section) -> str:
    return "\n\n".join([f"## {_line(section.title)}", *map(_block, section.blocks)])


def _block(block: Block) -> str:
    match block:
        case Table():
            return _table(block)
        case Paragraph(text=text):
            return _line(text)
        case Items(texts=texts, caption=caption):
            return _caption(caption) + "\n".join(f"- {_line(text)}" for text in texts)
        case Commands(lines=lines, caption=caption):
            text = "\n".join(lines)
            # A fence longer than any within.
            fence = "```" if "```" not in text else "`````"
            return f"{_caption(caption)}{fence}sh\n{text}\n{fence}"
        case Plot(name=name, caption=caption):
            return f"![{_line(caption)}]({name}.svg)"


def _table(table: Table) -> str:
    rule = "|".join(" ---: " if number else " --- " for number in table.numbers)
    rows = [f"| {' | '.join(map(_cell, row))} |" for row in table.rows]
    return "\n".join([f"{_caption(table.caption)}| {' | '.join(map(_line, table.head))} |", f"|{rule}|", *rows])


def _cell(cell: Cell) -> str:
    text = "<br>".join(map(_line, cell.text.split("\n")))
    return f"**{text}**" if cell.mark == "bad" and text else text


def _caption(text: str) -> str:
    return f"**{_line(text)}**\n\n" if text else ""


def _line(text: str) -> str:
    """Return a text in one line, in which nothing is taken for markup."""
    escaped = " ".join(text.split())
    for sign in "\\`*|<>[]":
        escaped = escaped.replace(sign, f"\\{sign}")
    return escaped
