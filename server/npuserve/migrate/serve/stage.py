"""S4: the model repository, and a server of it that is asked."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.migrate.chain.gates import Check
from npuserve.migrate.chain.settings import Settings
from npuserve.migrate.chain.stage import Result, Tell, Workspace
from npuserve.migrate.chain.tensors import Tensors, load_samples
from npuserve.migrate.compare.limits import least_cosine, limits_of, served_mode
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.serve.client import Client, ServiceError, cast_to
from npuserve.migrate.serve.golden_failure import GoldenError
from npuserve.migrate.serve.model_folder import ModelParts, read_gears, write_model
from npuserve.migrate.serve.server import Server, serve_command
from npuserve.migrate.serve.smoke import SmokeReport, smoke_test

REPOSITORY = "repository"
SMOKE = "smoke.log"
_ARTIFACTS = {
    REPOSITORY: "the model repository",
    SMOKE: "what was asked and how far the answers agree",
    "server.log": "what the server said meanwhile",
}
_SAMPLES = 64
_ADVICE = (
    "look at smoke.log for the case that differs",
    "requests are padded: a model that computes padded positions without its mask needs gears of fixed lengths",
    "with half precision raise serve.max_batch_difference, as sums depend on the gear",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seconds:
    """How long the server took to be ready, and in all."""

    ready: float
    foreign: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limits:
    """cosine, max_abs: of answers, as the comparison has them. batched: of the difference from single answers."""

    cosine: float
    max_abs: float
    batched: float

    @classmethod
    def of(cls, settings: Settings, answers: Sequence[Tensors]) -> "_Limits":
        """Return the strictest of all outputs."""
        found = limits_of(settings.compare, served_mode(settings), answers).values()
        max_abs = min((each.max_abs for each in found), default=0.0)
        return cls(
            cosine=least_cosine(settings.compare, served_mode(settings)),
            max_abs=max_abs,
            batched=max_abs if settings.serve.max_batch_difference is None else settings.serve.max_batch_difference,
        )


class ServeStage:
    """Writes the repository and proves that a server answers from it."""

    @property
    def folder(self) -> str:
        """The folder's name."""
        return "S4_serve"

    @property
    def title(self) -> str:
        """What it does."""
        return "serve"

    def fingerprint(self, workspace: Workspace) -> str:
        """Return what the result depends on, beside the stages before."""
        settings = workspace.settings
        outside = settings.serve.config
        content = hashlib.sha256(outside.read_bytes()).hexdigest() if outside is not None else ""
        return f"{settings.source.name} {settings.serve!r} {settings.compile!r} {settings.compare!r} {content}"

    def run(self, workspace: Workspace, folder: Path, tell: Tell) -> Result:
        """Write the repository, start the server, ask it, stop it. Raises MigrationError."""
        settings = workspace.settings
        parts = model_parts(settings, workspace.work)
        tell("writing the repository")
        config = write_model(settings, parts, folder / REPOSITORY)
        # The folder has another name while it is filled.
        command = serve_command(workspace.work / self.folder / REPOSITORY)
        tell("starting the server")
        started = time.monotonic()
        try:
            with Server(folder / REPOSITORY, folder / "server.log") as server:
                ready = time.monotonic() - started
                tell("asking the server")
                with Client(server.url) as client:
                    report = _asked(client, config, parts)
        except GoldenError as refused:
            return _refused(refused, command, time.monotonic() - started)
        except ServiceError as error:
            raise MigrationError(str(error), "read server.log, kept beside the stage's folder") from error
        seconds = Seconds(ready=ready, foreign=time.monotonic() - started)
        (folder / SMOKE).write_text(_log(command, report, seconds), encoding="utf-8")
        limits = _Limits.of(settings, parts.answers)
        return _result(limits, command, config, report, seconds)


def model_parts(settings: Settings, work: Path) -> ModelParts:
    """Return what the stages before have made of the model. Raises MigrationError."""
    exported, compiled = work / "S1_export", work / "S2_compile"
    graph, labels = exported / "model.onnx", exported / "labels.txt"
    gears = read_gears(compiled / "gears.json") if settings.serve.backend == "ascend" else None
    pairs = list(
        zip(load_samples(exported / "baseline.npz"), load_samples(exported / "baseline_outputs.npz"), strict=True)
    )
    if gears is not None and gears.lengths:
        # Rows beyond the longest gear are refused, which the compiler's stage has told.
        pairs = [pair for pair in pairs if max(_lengths(pair[0])) <= gears.lengths[-1]]
    if not pairs:
        raise MigrationError(
            f"no sample of {exported / 'baseline.npz'} fits a gear: a server could not be asked anything",
            "compile for longer lengths: compile.lengths",
        )
    return ModelParts(
        compiled=graph if gears is None else compiled / "model.om",
        gears=gears,
        graph=graph,
        labels=labels.read_text(encoding="utf-8").splitlines() if labels.exists() else (),
        samples=[inputs for inputs, _ in pairs[:_SAMPLES]],
        answers=[outputs for _, outputs in pairs[:_SAMPLES]],
    )


def _lengths(sample: Tensors) -> list[int]:
    return [array.shape[1] for array in sample.values() if array.ndim > 1] or [0]


def _asked(client: Client, config: ModelConfig, parts: ModelParts) -> SmokeReport:
    interface = client.interface(config.name)
    samples = [cast_to(sample, interface.inputs) for sample in parts.samples]
    # An old config may serve fewer outputs than the model has.
    answers = [cast_to(answer, interface.outputs) for answer in parts.answers]
    return smoke_test(client, config.name, samples, answers, config.max_batch_size)


def _checks(limits: _Limits, report: SmokeReport) -> list[Check]:
    single, batched = report.single.agreement, report.worst_batched
    cosine = Check(name="cosine of one answer", value=single.cosine, sense="at least", limit=limits.cosine)
    return [
        # int8's tells nothing of a single answer, and every cosine is -1 at least.
        *([cosine] if limits.cosine > -1 else []),
        Check(name="max abs error of one answer", value=single.max_abs, sense="at most", limit=limits.max_abs),
        Check(
            name="largest difference of batched answers from single ones",
            value=batched.max_abs,
            sense="at most",
            limit=limits.batched,
        ),
    ]


def _refused(refused: GoldenError, command: str, seconds: float) -> Result:
    """Return the result of a server that did not take the model: its log says the same."""
    return Result(
        checks=[refused.check],
        artifacts={name: text for name, text in _ARTIFACTS.items() if name != SMOKE},
        commands=[command],
        advice=refused.advice,
        foreign_seconds=seconds,
    )


def _result(limits: _Limits, command: str, config: ModelConfig, report: SmokeReport, seconds: Seconds) -> Result:
    checks = _checks(limits, report)
    rows = report.table()
    most = [limits.max_abs] * 2 + [limits.batched] * len(report.batched)
    for row, limit in zip(rows, most, strict=True):
        row["status"] = "ok" if row["max_abs"] <= limit else "differs"
    return Result(
        checks=checks,
        artifacts=_ARTIFACTS,
        commands=[command],
        advice=() if all(check.passed for check in checks) else _ADVICE,
        figures={
            "consistency": rows,
            "max_batch_size": config.max_batch_size,
            "ready_seconds": seconds.ready,
            "rows_an_execution": report.rows_an_execution,
        },
        foreign_seconds=seconds.foreign,
    )


def _log(command: str, report: SmokeReport, seconds: Seconds) -> str:
    lines = [f"$ {command}", f"ready after {seconds.ready:.1f} s"]
    lines += [
        f"{row['case']}: {row['rows']} rows, cosine {row['cosine']:.9f}, max abs {row['max_abs']:.3g}"
        for row in report.table()
    ]
    lines.append(f"rows an execution of those at once: {report.rows_an_execution:.2f}")
    return "".join(f"{line}\n" for line in lines)
