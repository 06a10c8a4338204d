"""Stage S2: from the ONNX to an OM that loads and is what was asked for."""

import hashlib
import json
import os
import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import npuserve
from npuserve.migrate.chain.gates import Check
from npuserve.migrate.chain.settings import Settings
from npuserve.migrate.chain.stage import Result, Tell, Workspace
from npuserve.migrate.compile.atc import COMMAND, LOG, Compiled, run_atc
from npuserve.migrate.compile.atc_options import INT8, AtcOptions, atc_options
from npuserve.migrate.compile.compiler import Compiler, find_compiler
from npuserve.migrate.compile.contradictions import check_quantized_gears
from npuserve.migrate.compile.description import Differences, describe, differences
from npuserve.migrate.compile.gears import PlannedShapes, plan_shapes
from npuserve.migrate.compile.installation import installed
from npuserve.migrate.compile.operator_report import as_json, figure_rows, summary, text_table
from npuserve.migrate.compile.operators import OperatorReport, check_operators
from npuserve.migrate.compile.outline import Outline, read_outline
from npuserve.migrate.compile.quantized import Quantize, Quantized, QuantizeJob, is_quantized, quantize_by_default
from npuserve.migrate.errors import MigrationError

EXPORT = "S1_export"
MODEL = "model.onnx"
LENGTHS = "lengths.txt"
OM = "model.om"
OPERATORS = "operators.json"
OPERATOR_TABLE = "operators.txt"
GEARS = "gears.json"
DESCRIPTION = "description.json"
ARTIFACTS: Mapping[str, str] = {
    OM: "the compiled model",
    OPERATORS: "every operator of the graph, and whether the chip has it",
    OPERATOR_TABLE: "the same as a table",
    COMMAND: "the compiler's command",
    LOG: "the compiler's whole output",
    GEARS: "the shapes that were compiled, and what they waste",
    DESCRIPTION: "what the OM says of itself",
}
FIXED_INT8 = "CANN's documentation allows quantized models fixed shapes only: there, one batch and one length"
FALLBACK = "serve this model by ONNX Runtime: backend = 'onnxruntime' under [serve]"


@dataclass(slots=True)
class _Work:
    """What a run of the stage has found so far."""

    folder: Path
    final: Path
    outline: Outline
    planned: PlannedShapes
    compiler: Compiler
    options: AtcOptions
    operators: OperatorReport
    checks: list[Check] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    artifacts: dict[str, str] = field(default_factory=dict)
    quantized: Quantized | None = None
    foreign_seconds: float = 0.0

    def take(self, found: Result) -> None:
        """Add what a part of the stage found."""
        self.checks += found.checks
        self.advice += found.advice
        self.notes += found.notes
        self.commands += found.commands
        self.figures.update(found.figures)
        self.artifacts.update(found.artifacts)
        self.foreign_seconds += found.foreign_seconds


class CompileStage:
    """Checks the operators, plans the gears, compiles, and loads what came out.

    environment: None for the process's. quantize: makes the graph of `precision = "int8"`; None: after training.
    """

    folder = "S2_compile"
    title = "Compile for the NPU"

    def __init__(self, environment: Mapping[str, str] | None = None, quantize: Quantize | None = None) -> None:
        self._quantize_graph = quantize or quantize_by_default
        self._environment = dict(os.environ if environment is None else environment)

    def fingerprint(self, workspace: Workspace) -> str:
        """Return a digest of the settings, of the files that they name and of the compiler."""
        settings = workspace.settings
        read = (settings.compile, settings.export.max_length)
        digest = hashlib.sha256(repr(read).encode())
        if settings.compile.precision == INT8:
            digest.update(repr(settings.quantize).encode())
        named = [Path(flag.partition("=")[2]) for flag in settings.compile.extra]
        for path in (settings.compile.mix_list, *named):
            if path is not None and path.is_file():
                with path.open("rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
        digest.update(self._compiler_mark().encode())
        return digest.hexdigest()

    def _compiler_mark(self) -> str:
        try:
            found = installed(self._environment)
        except MigrationError as error:
            return str(error)
        return f"{found.home} {found.version}" if found else f"npuserve {npuserve.__version__}"

    def run(self, workspace: Workspace, folder: Path, tell: Tell) -> Result:
        """Fill the folder. Raises MigrationError."""
        started = time.monotonic()
        work = self._prepared(workspace, folder.resolve(), tell)
        _write(work.folder / OPERATORS, as_json(work.operators))
        (work.folder / OPERATOR_TABLE).write_text(text_table(work.operators))
        _write(work.folder / GEARS, _gears_json(work.planned, work.options))
        if self._operators_pass(work):
            tell(f"compiling {len(work.planned.shapes.gears)} gears with {work.compiler.name}")
            compiled = run_atc(work.compiler, work.options, work.folder, work.final)
            self._judge_compiled(work, compiled)
            if compiled.om is not None:
                tell("loading the OM")
                self._judge_om(work, compiled.om)
        return Result(
            checks=work.checks,
            artifacts={
                name: what for name, what in {**ARTIFACTS, **work.artifacts}.items() if (work.folder / name).is_file()
            },
            commands=work.commands,
            advice=list(dict.fromkeys([*work.advice, FALLBACK])) if work.advice else [],
            notes=work.notes,
            figures=work.figures,
            seconds=time.monotonic() - started,
            foreign_seconds=work.foreign_seconds,
        )

    def _prepared(self, workspace: Workspace, folder: Path, tell: Tell) -> _Work:
        """Decide everything, so that what contradicts itself is told before the compiler runs."""
        settings = workspace.settings.compile
        export = (workspace.work / EXPORT).resolve()
        if not (export / MODEL).is_file():
            raise MigrationError(
                f"there is no {export / MODEL}: the export has not run", "run the export: npuserve migrate"
            )
        compiler = find_compiler(self._environment, settings.soc_version)
        tell("checking the operators")
        outline = read_outline(export / MODEL)
        planned = plan_shapes(
            outline,
            settings,
            export / LENGTHS,
            workspace.settings.export.max_length,
            single=settings.precision == INT8 and compiler.is_vendor,
        )
        options = atc_options(settings, export / MODEL, folder / OM, planned.shapes)
        notes = [*compiler.notes, *planned.notes]
        if options.quantized and compiler.is_vendor:
            check_quantized_gears(len(planned.shapes.gears) if options.has_gears else 0)
        elif options.quantized and options.has_gears:
            notes.append(FIXED_INT8)
        work = _Work(
            folder=folder,
            final=(workspace.work / self.folder).resolve(),
            outline=outline,
            planned=planned,
            compiler=compiler,
            options=options,
            operators=check_operators(outline, settings.soc_version, compiler.installation),
            notes=notes,
        )
        if options.quantized and not is_quantized(outline):
            self._quantize(work, workspace.settings, export, tell)
        work.figures.update(_figures(work, settings.precision))
        return work

    def _quantize(self, work: _Work, settings: Settings, export: Path, tell: Tell) -> None:
        """Put the quantized graph in the place of the exported one."""
        work.quantized = self._quantize_graph(
            QuantizeJob(
                exported=export,
                folder=work.folder,
                final=work.final,
                settings=settings,
                compiler=work.compiler,
                options=work.options,
                shapes=work.planned.shapes,
                tell=tell,
            )
        )
        work.take(work.quantized.found)
        work.outline = read_outline(work.quantized.model)
        work.options = replace(work.options, model=work.quantized.model)
        work.operators = check_operators(work.outline, work.options.soc_version, work.compiler.installation)

    def _operators_pass(self, work: _Work) -> bool:
        """Judge the operators; without them the compiler need not be tried."""
        report = work.operators
        bad = report.unsupported
        work.checks.append(Check(name="unsupported operators", value=len(bad), sense="equal", limit=0))
        work.advice += [f"{row.full_name}: {row.reason}; {row.advice}" for row in bad]
        strange = () if work.compiler.is_vendor else report.unknown_to_emulator
        if strange and not bad:
            names = ", ".join(row.full_name for row in strange)
            check = Check(name="operators unknown to the emulator", value=len(strange), sense="equal", limit=0)
            work.checks.append(check)
            work.advice.append(f"compile on a machine with CANN, which has {names}; the emulator has not")
        work.notes.append(summary(report))
        work.notes += [f"{row.full_name}: {row.reason}" for row in report.rows if row.status == "replaced"]
        return not bad and not strange

    def _judge_compiled(self, work: _Work, compiled: Compiled) -> None:
        work.foreign_seconds += compiled.seconds
        work.commands.append(compiled.command)
        work.checks.append(Check(name="exit code of atc", value=compiled.exit_code, sense="equal", limit=0))
        work.figures["atc_seconds"] = compiled.seconds
        if compiled.om is not None:
            work.figures["om_bytes"] = compiled.om.stat().st_size
            return
        if compiled.exit_code == 0:
            work.checks.append(Check(name="OM files that atc wrote", value=0, sense="equal", limit=1))
        work.notes.append(f"atc failed: {compiled.reason}")
        work.advice += [each.remedy for each in compiled.errors] or [f"read {work.final / LOG}"]
        work.figures["errors"] = [
            {"code": each.code, "meaning": each.meaning, "text": each.text, "remedy": each.remedy}
            for each in compiled.errors
        ]

    def _judge_om(self, work: _Work, om: Path) -> None:
        found = describe(om, work.compiler.environment)
        work.commands.append(shlex.join(["npuserve", "describe", str(work.final / OM)]))
        work.checks.append(Check(name="OMs that load", value=int(found.content is not None), sense="equal", limit=1))
        if found.content is None:
            work.notes.append(f"the OM does not load: {found.error}")
            work.advice.append(
                "run the migration where the NPU is, or on a machine with its driver: the OM must be loaded to be "
                "checked"
                if work.compiler.is_vendor
                else "read the text that the library gave; `npuserve describe` gives it again"
            )
            return
        _write(work.folder / DESCRIPTION, found.content)
        told = differences(found.content, work.outline, work.planned.shapes, work.options)
        _judge_differences(work, told)
        if work.quantized is not None and work.quantized.compare is not None and not (told.tensors or told.gears):
            work.take(work.quantized.compare(om))


def _judge_differences(work: _Work, told: Differences) -> None:
    work.checks += [
        Check(name="inputs and outputs unlike the ONNX", value=len(told.tensors), sense="equal", limit=0),
        Check(name="gears unlike the plan", value=len(told.gears), sense="equal", limit=0),
    ]
    work.notes += [*told.tensors, *told.gears]
    if told.tensors or told.gears:
        work.advice.append("take from extra under [compile] what changes the model's inputs, outputs or shapes")


def _figures(work: _Work, precision: str) -> dict[str, Any]:
    shapes, plan = work.planned.shapes, work.planned.plan
    return {
        "compiler": work.compiler.name,
        "soc_version": work.options.soc_version,
        "precision": precision,
        "operators": figure_rows(work.operators),
        "operators_from": f"CANN {work.operators.version}, {work.operators.source}",
        "gears": [[batch, length] for batch in shapes.batches for length in shapes.lengths],
        "padding": [
            {
                "lengths": len(each.lengths),
                "which": ", ".join(map(str, each.lengths)),
                "waste": each.waste,
                "cost": each.cost,
                "chosen": each.lengths == shapes.lengths,
            }
            for each in (plan.proposals if plan else ())
        ],
        "versions": {"CANN" if work.compiler.is_vendor else "emulator": work.compiler.version},
    }


def _gears_json(planned: PlannedShapes, options: AtcOptions) -> dict[str, Any]:
    found = planned.shapes.plain()
    found["flags"] = [flag for flag in options.flags() if flag.startswith(("--input_shape", "--dynamic_"))]
    if planned.proposal is not None:
        found["padding_waste"] = planned.proposal.waste
        found["cost_of_longest"] = planned.proposal.cost
    if planned.sample is not None:
        found["sample"] = {"rows": planned.sample.total_rows, "tokens": planned.sample.tokens}
    return found


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n")
