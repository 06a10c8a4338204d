"""A shadow's report: JSON, and the same as a page and as Markdown."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from npuserve.migrate.chain.folders import write_whole
from npuserve.migrate.report.document import Cell, Document, Items, Mark, Paragraph, Section, Table
from npuserve.migrate.report.html import as_html
from npuserve.migrate.report.markdown import as_markdown
from npuserve.migrate.report.numbers import shown
from npuserve.migrate.shadow.cases import FOLDER
from npuserve.migrate.shadow.families import DROPPED, SKIPPED

_WHY = {
    "sequence": "a sequence's requests mean nothing out of their order",
    "decoupled": "a decoupled model gives any number of answers",
    "shared_memory": "their tensors are in memory that the reference does not see",
    "stream": "calls of ModelStreamInfer, whose requests are not mirrored",
    "unanswered": "overloaded, out of time or given up: says nothing of the model",
}

Found = Mapping[str, Any]


def write_report(folder: Path, found: Found) -> Path:
    """Write `report.json`, `report.md` and `report.html`; return the last one's path. Raises OSError."""
    document = _document(found)
    write_whole(folder / "report.json", json.dumps(found, indent=1) + "\n")
    write_whole(folder / "report.md", as_markdown(document))
    page = folder / "report.html"
    write_whole(page, as_html(document))
    return page


def _document(found: Found) -> Document:
    options = found["options"]
    facts = [
        ("Reference", found["reference"]),
        ("From", found["started"]),
        ("To", found["ended"]),
        ("Share of requests", f"{options['share']:.4g}"),
        ("Models", ", ".join(options["models"]) or "all"),
        ("Disagree", _rule(options["limits"])),
    ]
    sections = [Section("Agreement", list(_agreement(found["models"]))), *_disagreements(found)]
    sections += [
        Section("Latency", list(_latency(found["models"]))),
        Section("Cost to the live server", list(_cost(found["tap"]))),
        Section("Not compared", list(_not_compared(found))),
    ]
    return Document("Shadow report", "en", _verdict(found), facts, sections)


def _rule(limits: Mapping[str, Any]) -> str:
    return (
        "answers whose status, outputs, data types or shapes differ; integers and texts that are not equal; floats "
        f"with a row whose cosine is below {limits['min_cosine']:g}, whose error is above {limits['max_error']:.2%} of "
        "the reference, or whose largest element is another"
    )


def _verdict(found: Found) -> Cell:
    compared, disagreed = _totals(found["models"])
    if found["failures"]:
        return Cell(f"Beyond its limits: {'; '.join(found['failures'])}", "bad")
    if not compared:
        return Cell("Nothing was compared", "open")
    if disagreed:
        return Cell(f"{disagreed} of {compared} answers disagree ({disagreed / compared:.3%})", "bad")
    return Cell(f"All {compared} compared answers agree", "good")


def _totals(models: Mapping[str, Found]) -> tuple[int, int]:
    compared = sum(model["compared"] for model in models.values())
    return compared, sum(sum(model["disagreed"].values()) for model in models.values())


def _agreement(models: Mapping[str, Found]) -> Iterator[Table | Paragraph]:
    if not models:
        yield Paragraph("No request was mirrored.")
        return
    rows = [
        [
            Cell(name),
            _count(model["mirrored"]),
            _count(model["compared"]),
            _count(sum(model["disagreed"].values()), bad=True),
            _count(sum(model["failed"].values())),
            Cell(", ".join(f"{reason}: {count}" for reason, count in model["disagreed"].items())),
        ]
        for name, model in models.items()
    ]
    yield Table(("Model", "mirrored", "compared", "disagree", "failed", "reasons"), rows)
    head = ("Model", "output", "compared", "disagree", "least cosine", "mean cosine", "max abs error", "argmax agrees")
    outputs = [
        [
            Cell(name),
            Cell(output),
            _count(values["compared"]),
            _count(values["disagreed"], bad=True),
            _number(values.get("cosine_min")),
            _number(values.get("cosine_mean")),
            _number(values["max_abs_error"]),
            _argmax(values),
        ]
        for name, model in models.items()
        for output, values in model["outputs"].items()
    ]
    if outputs:
        yield Table(head, outputs, "By output; cosines are of the worst row of an answer")


def _argmax(values: Found) -> Cell:
    if "argmax_rows" not in values:
        return Cell("")
    return Cell(f"{values['argmax_agreed_rows']} of {values['argmax_rows']}", number=True)


def _disagreements(found: Found) -> Iterator[Section]:
    if not found["cases"]:
        return
    rows = [
        [
            Cell(case["folder"].removeprefix(f"{FOLDER}/")),
            Cell(case["model"]),
            Cell(case["reason"] or "agrees", "bad" if case["reason"] else ""),
            _number(case["cosine"]),
            _number(case["max_abs_error"]),
            Cell(case["detail"]),
        ]
        for case in found["cases"]
    ]
    text = (
        f"Each is a folder in {FOLDER}, with the messages: request.bin (ModelInferRequest), live.bin and reference.bin "
        "(ModelInferResponse, or what a refusal said), and inputs.npz, which `npuserve run MODEL.om --inputs` takes. "
        "`npuserve shadow --replay FOLDER --reference HOST:PORT` sends the request to a server again."
    )
    table = Table(("Case", "model", "reason", "cosine", "max abs error", "what differs"), rows)
    yield Section("Worst cases", [table, Paragraph(text)])


def _latency(models: Mapping[str, Found]) -> Iterator[Table | Paragraph]:
    rows = [
        [Cell(name), Cell(side), *(_number(model[side].get(key)) for key in ("p50_ms", "p95_ms", "p99_ms", "max_ms"))]
        for name, model in models.items()
        for side in ("live", "reference")
        if model[side]["count"]
    ]
    if rows:
        yield Table(("Model", "server", "P50 ms", "P95 ms", "P99 ms", "max ms"), rows, "Of the compared requests")
    yield Paragraph(
        "The live server's time is from the whole request to its answer, within the server. The reference's is what "
        "the shadow waits: network, and its own low priority on a busy machine, are within."
    )


def _cost(tap: Mapping[str, int]) -> Iterator[Table | Paragraph]:
    copied = tap["written"] + tap["full"]
    mean_us = tap["write_ns"] / copied / 1e3 if copied else 0.0
    yield Paragraph(
        f"Each of {copied} mirrored requests was copied once, on the thread that answers: {shown(mean_us)} µs on "
        f"average, {shown(tap['most_write_ns'] / 1e3)} µs at most, which is what a live answer waited longer. "
        "Repeating and comparing are another process's."
    )


def _not_compared(found: Found) -> Iterator[Table | Items]:
    tap = found["tap"]
    lines = [f"{tap['seen']} requests were seen, {tap['written']} of them handed to the shadow."]
    lines += [f"{tap[name]} dropped: {reason.replace('_', ' ')}" for name, reason in DROPPED.items() if tap[name]]
    lines += [f"{tap[name]} left out: {_WHY[name]}" for name in SKIPPED if tap[name]]
    if found["unread"]:
        lines.append(f"{found['unread']} were still queued when the server stopped")
    lines += [
        f"{count} of model '{name}' failed at the reference: {reason.replace('_', ' ')}"
        for name, model in found["models"].items()
        for reason, count in model["failed"].items()
    ]
    yield Items(lines)


def _count(value: int, *, bad: bool = False) -> Cell:
    mark: Mark = "bad" if bad and value else ""
    return Cell(str(value), mark, number=True)


def _number(value: float | None) -> Cell:
    return Cell("" if value is None else shown(value), number=value is not None)
