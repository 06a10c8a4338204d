"""What a report is made of, whatever it is written as."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Mark = Literal["", "good", "bad", "open"]


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table. mark: how the reader should take it. number: whether it is one, set to the right."""

    text: str
    mark: Mark = ""
    number: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table. Rows are as long as the head. caption: "" if the heading above says it."""

    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""

    @property
    def numbers(self) -> list[bool]:
        """Which columns hold numbers, where they hold anything; the first names the row."""
        columns = [[row[place] for row in self.rows if row[place].text] for place in range(len(self.head))]
        return [place > 0 and bool(cells) and all(cell.number for cell in cells) for place, cells in enumerate(columns)]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Plain text."""

    text: str
    mark: Mark = ""


@dataclass(frozen=True, slots=True)
class Items:
    """A list of texts."""

    texts: Sequence[str]
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Commands:
    """Shell lines."""

    lines: Sequence[str]
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawing. name: of its file, where drawings are files. svg: the element. caption: what it shows."""

    name: str
    svg: str
    caption: str


Block = Table | Paragraph | Items | Commands | Plot


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class Document:
    """A report. verdict: in a word. facts: names and values that stand under the title."""

    title: str
    language: str
    verdict: Cell
    facts: Sequence[tuple[str, str]]
    sections: Sequence[Section] = field(default_factory=tuple)
