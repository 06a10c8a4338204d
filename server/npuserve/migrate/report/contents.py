"""What stands in a report, in which order."""

import dataclasses
import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from npuserve.migrate.chain.gates import Check, failed
from npuserve.migrate.chain.runner import Outcome, Run
from npuserve.migrate.chain.settings import Settings
from npuserve.migrate.chain.settings_file import Migration
from npuserve.migrate.report import plots
from npuserve.migrate.report.document import Block, Cell, Commands, Document, Items, Mark, Paragraph, Section, Table
from npuserve.migrate.report.figures import blocks_of, pairs_of
from npuserve.migrate.report.numbers import shown
from npuserve.migrate.report.versions import versions
from npuserve.migrate.report.words import Words

_STATUS: Mapping[str, str] = {"kept": "passed earlier"}
_MARKS: Mapping[str, Mark] = {"passed": "good", "kept": "good", "failed": "bad", "stopped": "bad", "pending": "open"}


def contents(migration: Migration, run: Run, command: Sequence[str], made: datetime) -> Document:
    """Return the report of a run. command: that made it, as it was typed."""
    words = Words(migration.settings.language)
    sections = [
        Section(words("Gates"), [_gates(run, words)]),
        *_what_to_do(run, words),
        *_stages(run, words),
        _environment(migration.settings, run, words),
        _settings(migration, words),
        _commands(run, command, words),
    ]
    return Document(
        title=words("Migration of {name}", name=migration.settings.source.name),
        language=words.language,
        verdict=_verdict(run, words),
        facts=_facts(migration.settings, run, made, words),
        sections=sections,
    )


def _verdict(run: Run, words: Words) -> Cell:
    for outcome in run.outcomes:
        match outcome.status:
            case "failed":
                return Cell(words("Failed at the gate of {stage}", stage=_title(outcome, words)), "bad")
            case "stopped":
                return Cell(words("Stopped in {stage}", stage=_title(outcome, words)), "bad")
            case "pending":
                return Cell(words("Not finished: next is {stage}", stage=_title(outcome, words)), "open")
    return Cell(words("Passed: every gate"), "good")


def _facts(settings: Settings, run: Run, made: datetime, words: Words) -> list[tuple[str, str]]:
    source = settings.source
    results = [outcome.record.result for outcome in run.outcomes if outcome.record is not None]
    seconds = sum(result.seconds for result in results)
    own = sum(max(result.seconds - result.foreign_seconds, 0) for result in results)
    fallback = settings.serve.backend == "onnxruntime"
    target = words("ONNX Runtime (the fallback): nothing is compiled") if fallback else settings.compile.soc_version
    return [
        (words("model"), source.name),
        (words("source"), str(source.checkpoint or source.module or source.onnx)),
        (words("target"), target),
        (words("made"), made.strftime("%Y-%m-%d %H:%M %z")),
        (
            words("time of the stages"),
            words("{seconds} s, {own} s of them in npuserve itself", seconds=f"{seconds:.1f}", own=f"{own:.1f}"),
        ),
    ]


def _gates(run: Run, words: Words) -> Table:
    head = [words(name) for name in ("stage", "check", "value", "limit", "status")]
    return Table(head=head, rows=[row for outcome in run.outcomes for row in _gate_rows(outcome, words)])


def _gate_rows(outcome: Outcome, words: Words) -> Iterator[list[Cell]]:
    stage = _title(outcome, words)
    status = Cell(words(_STATUS.get(outcome.status, outcome.status)), _MARKS[outcome.status])
    checks = outcome.record.result.checks if outcome.record is not None else ()
    if not checks:
        yield [Cell(stage), Cell(words("no checks") if outcome.record else ""), Cell(""), Cell(""), status]
    for check in checks:
        unit = f" {words(check.unit)}" if check.unit else ""
        verdict = status if check.passed else Cell(words("failed"), "bad")
        if check.passed and outcome.status == "failed":
            verdict = Cell(words("passed"), "good")
        yield [
            Cell(stage),
            Cell(words.sentence(check.name)),
            Cell(f"{shown(check.value)}{unit}"),
            Cell(f"{words(check.sense)} {shown(check.limit)}{unit}"),
            verdict,
        ]
        stage = ""


def _what_to_do(run: Run, words: Words) -> Iterator[Section]:
    for outcome in run.outcomes:
        advice: Sequence[str] = ()
        if outcome.fault is not None:
            reason, advice = words.sentence(outcome.fault.message), outcome.fault.advice
        elif outcome.status == "failed" and outcome.record is not None:
            result = outcome.record.result
            reason, advice = "; ".join(_missed(check, words) for check in failed(result.checks)), result.advice
        else:
            continue
        blocks: list[Block] = [Paragraph(f"{_title(outcome, words)}: {reason}", "bad")]
        if advice:
            blocks.append(Items([*map(words.sentence, advice)], words("what to try, the best first")))
        yield Section(words("What to do"), blocks)


def _missed(check: Check, words: Words) -> str:
    unit = f" {words(check.unit)}" if check.unit else ""
    return words(
        "{name} is {value}, must be {sense} {limit}",
        name=words.sentence(check.name),
        value=f"{shown(check.value)}{unit}",
        sense=words(check.sense),
        limit=f"{shown(check.limit)}{unit}",
    )


def _stages(run: Run, words: Words) -> Iterator[Section]:
    """Yield a section a stage: first what the service does, then how it came about."""
    figures = {
        outcome.place.command: outcome.record.result.figures for outcome in run.outcomes if outcome.record is not None
    }
    for outcome in sorted(run.outcomes, key=lambda outcome: outcome.place.command != "prove"):
        if outcome.record is None:
            continue
        blocks = [_run_of(outcome, words), *_figures(outcome, figures, words), *_left(outcome, words)]
        yield Section(_title(outcome, words), blocks)


def _run_of(outcome: Outcome, words: Words) -> Paragraph:
    assert outcome.record is not None
    result = outcome.record.result
    own = max(result.seconds - result.foreign_seconds, 0)
    parts = (
        f"{words('status')}: {words(_STATUS.get(outcome.status, outcome.status))}",
        f"{words('started')}: {outcome.record.started}",
        f"{result.seconds:.1f} {words('seconds')}",
        f"{words('of them npuserve')}: {own:.1f}",
    )
    return Paragraph(" · ".join(parts), "open")


def _figures(outcome: Outcome, figures: Mapping[str, Mapping[str, Any]], words: Words) -> list[Block]:
    assert outcome.record is not None
    own = outcome.record.result.figures
    blocks = blocks_of(own, words, where=f"{outcome.place.folder}/result.json")
    lengths = sorted({length for _, length in pairs_of(figures.get("compile", {}), "gears")})
    drawn = [
        *plots.throughput_p99(own, words),
        *plots.latency_cdf(own, words),
        *plots.error_by_layer(own, words),
        *plots.length_histogram(own, lengths, words),
        *plots.padding_waste(own, words),
    ]
    return [*drawn, *blocks]


def _left(outcome: Outcome, words: Words) -> Iterator[Block]:
    """Yield what the stage left for the reader: notes and files."""
    assert outcome.record is not None
    result = outcome.record.result
    if result.notes:
        yield Items([*map(words.sentence, result.notes)], words("Notes"))
    if result.artifacts:
        yield Table(
            head=(words("file"), words("what it is")),
            rows=[
                (Cell(f"{outcome.place.folder}/{name}"), Cell(words.sentence(text)))
                for name, text in result.artifacts.items()
            ],
            caption=words("Artifacts"),
        )


def _environment(settings: Settings, run: Run, words: Words) -> Section:
    told: dict[str, str] = {}
    for outcome in run.outcomes:
        found = {} if outcome.record is None else outcome.record.result.figures.get("versions", {})
        told |= {str(name): str(value) for name, value in found.items()} if isinstance(found, Mapping) else {}
    rows = [(Cell(name), Cell(value)) for name, value in versions(settings.compile.soc_version, told, words)]
    return Section(words("Environment and versions"), [Table(head=(words("what"), words("version")), rows=rows)])


def _settings(migration: Migration, words: Words) -> Section:
    rows = [(Cell(name), Cell(value)) for name, value in _flat(migration.settings)]
    blocks: list[Block] = [Table(head=(words("setting"), words("value")), rows=rows)]
    if migration.file is not None:
        blocks.insert(0, Paragraph(f"{words('file of settings')}: {migration.file.resolve()}"))
    return Section(words("Settings"), blocks)


def _flat(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield what is set, by dotted name; what is left out of the file is not shown."""
    for table in dataclasses.fields(settings):
        part = getattr(settings, table.name)
        if not dataclasses.is_dataclass(part):
            yield table.name, str(part)
            continue
        for field in dataclasses.fields(part):
            value = getattr(part, field.name)
            if value not in (None, "", ()):
                yield (
                    f"{table.name}.{field.name}",
                    ", ".join(map(str, value)) if isinstance(value, tuple) else str(value),
                )


def _commands(run: Run, command: Sequence[str], words: Words) -> Section:
    # Flags may name files by paths relative to where it ran.
    lines = [shlex.join(["cd", str(Path.cwd())]), shlex.join(command)]
    blocks: list[Block] = [Commands(lines, words("The whole migration, again"))]
    blocks += [
        Commands(outcome.record.result.commands, _title(outcome, words))
        for outcome in run.outcomes
        if outcome.record is not None and outcome.record.result.commands
    ]
    return Section(words("Commands"), blocks)


def _title(outcome: Outcome, words: Words) -> str:
    number, _, name = outcome.place.folder.partition("_")
    return words(f"{number} {name.capitalize()}")
