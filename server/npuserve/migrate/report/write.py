"""Writes the report's files into the work folder."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from npuserve.migrate.chain.folders import write_whole
from npuserve.migrate.chain.runner import Run
from npuserve.migrate.chain.settings_file import Migration
from npuserve.migrate.report.contents import contents
from npuserve.migrate.report.document import Document, Plot
from npuserve.migrate.report.html import as_html
from npuserve.migrate.report.markdown import as_markdown
from npuserve.migrate.report.style import DRAWING_STYLE

FOLDER = "report"


def write_report(migration: Migration, run: Run, command: Sequence[str]) -> Path:
    """Write `report/report.html`, and `report.md` with its drawings. Returns the page's path. Raises OSError."""
    document = contents(migration, run, command, datetime.now().astimezone())
    folder = migration.work / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob("*.svg"):
        left.unlink()
    for plot in _plots(document):
        write_whole(folder / f"{plot.name}.svg", _alone(plot.svg))
    write_whole(folder / "report.md", as_markdown(document))
    page = folder / "report.html"
    write_whole(page, as_html(document))
    return page


def _plots(document: Document) -> list[Plot]:
    return [block for section in document.sections for block in section.blocks if isinstance(block, Plot)]


def _alone(svg: str) -> str:
    """Return a drawing that brings its own colours."""
    opening, end, rest = svg.partition(">")
    return f"{opening}{end}<style>{DRAWING_STYLE}</style>{rest}\n"
