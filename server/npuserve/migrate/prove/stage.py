"""S5: the evidence that the new service may take the old one's place."""

import os
import shlex
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from npuserve.migrate.chain.gates import failed
from npuserve.migrate.chain.settings import Settings
from npuserve.migrate.chain.stage import Result, Tell, Workspace
from npuserve.migrate.chain.tensors import Tensors
from npuserve.migrate.compare.limits import is_rounded, served_mode
from npuserve.migrate.compile.installation import installed
from npuserve.migrate.export.dataset import spread
from npuserve.migrate.prove.accuracy import score
from npuserve.migrate.prove.contest import Contestant, contest
from npuserve.migrate.prove.evidence import Evidence, advice, speed_checks
from npuserve.migrate.prove.labelled import LabelledSet, read_labelled
from npuserve.migrate.prove.services import NEW, OLD, Service, new_service, old_service
from npuserve.migrate.serve.agreement import Agreement, agreement
from npuserve.migrate.serve.client import Client, cast_to
from npuserve.migrate.serve.model_folder import ModelParts, longest_gear
from npuserve.migrate.serve.server import serve_command
from npuserve.migrate.serve.stage import REPOSITORY, model_parts

BASELINE = "baseline_repository"
EXPORTED, DATASET = "S1_export", "dataset.jsonl"
UNLABELLED = (
    "the texts have no labels, so that no accuracy can be told: classes were compared with the baseline's instead"
)
UNKNOWN = "there is no labelled set with a tokenizer: classes were compared with the baseline's instead"
_AT_ONCE = 32
# A shell's wait for a server of ours, on the usual port.
_READY = "until curl -sf localhost:8000/v2/health/ready; do sleep 0.2; done"
_LOAD_SAMPLES = 512
_FOR_P99 = 100
_ARTIFACTS = {
    "new.log": "what the new server said",
    "baseline.log": "what the baseline's server said",
    BASELINE: "the baseline's model repository; its ONNX is a link",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A service, its requests in its own types, and its answers."""

    service: Service
    samples: Sequence[Tensors]
    answers: Sequence[Tensors]


class ProveStage:
    """Asks both services the same, then loads both alike."""

    @property
    def folder(self) -> str:
        """The folder's name."""
        return "S5_prove"

    @property
    def title(self) -> str:
        """What it does."""
        return "prove"

    def fingerprint(self, workspace: Workspace) -> str:
        """Return what the result depends on, beside the stages before."""
        settings = workspace.settings
        return f"{settings.source.name} {settings.source.task} {settings.export.max_length} {settings.prove!r}"

    def run(self, workspace: Workspace, folder: Path, tell: Tell) -> Result:
        """Serve, ask and load. Raises MigrationError."""
        settings, work = workspace.settings, workspace.work
        parts = model_parts(settings, work)
        asked_for = _questions(settings, work, parts)
        started = time.monotonic()
        with ExitStack() as services:
            tell("starting the services")
            new = services.enter_context(new_service(settings, work / "S4_serve" / REPOSITORY, folder / "new.log"))
            onnx = replace(parts, compiled=parts.graph, gears=None, is_linked=True)
            old = services.enter_context(old_service(settings, onnx, folder / BASELINE, folder / "baseline.log"))
            asked = [_ask(service, asked_for, tell) for service in (new, old)]
            standings = contest(
                [_contestant(each) for each in asked],
                settings.prove.concurrencies,
                seconds=settings.prove.seconds,
                rounds=settings.prove.rounds,
                tell=tell,
                doubtful=lambda pair: bool(failed(speed_checks(pair[0], pair[1], settings.prove))),
            )
            evidence = Evidence(
                agreement=sum(
                    (agreement(*pair) for pair in zip(asked[0].answers, asked[1].answers, strict=True)), Agreement()
                ),
                scores={each.service.name: score(each.answers, asked_for) for each in asked}
                if any(asked_for.targets)
                else {},
                standings=standings,
                memory_mb=_memory([new, old]),
            )
        return _result(workspace, evidence, [new, old], folder, time.monotonic() - started)


def _questions(settings: Settings, work: Path, parts: ModelParts) -> LabelledSet:
    """Return the labelled set, or the samples of the export where there is none."""
    exported = work / EXPORTED
    dataset, tokenizer = exported / DATASET, exported / "tokenizer.json"
    if not (dataset.exists() and tokenizer.exists()):
        return LabelledSet(samples=parts.samples, targets=[()] * len(parts.samples))
    longest = longest_gear(parts.gears, settings.export.max_length)
    return read_labelled(dataset, tokenizer, parts.labels, longest, settings.prove.max_rows)


def _ask(service: Service, questions: LabelledSet, tell: Tell) -> Asked:
    tell(f"asking {service.name} {len(questions.samples)} texts")
    with Client(service.url) as client:
        ports = client.interface(service.model).inputs
        samples = [cast_to(sample, ports) for sample in questions.samples]
        return Asked(service, samples, client.infer_all(service.model, samples, _AT_ONCE))


def _contestant(asked: Asked) -> Contestant:
    service = asked.service
    return Contestant(
        name=service.name, url=service.url, model=service.model, samples=spread(asked.samples, _LOAD_SAMPLES)
    )


def _memory(services: Sequence[Service]) -> dict[str, float]:
    found = {each.name: each.process.peak_memory_mb() for each in services if each.process is not None}
    return {name: value for name, value in found.items() if value is not None}


def _result(
    workspace: Workspace, evidence: Evidence, services: Sequence[Service], folder: Path, foreign: float
) -> Result:
    checks = evidence.checks(workspace.settings.prove)
    found = {path: text for path, text in _ARTIFACTS.items() if (folder / path).exists()}
    notes = [f"{each.name}: {each.what}" for each in services]
    if services[0].what == services[1].what:
        notes.append("both services are the same, so the gate of speed says what chance does")
    if not evidence.scores:
        notes.append(UNLABELLED if (workspace.work / EXPORTED / DATASET).exists() else UNKNOWN)
    if evidence.fewest_requests < _FOR_P99:
        notes.append(
            f"a round had {evidence.fewest_requests:.0f} requests at least: of fewer than {_FOR_P99} the P99 is the "
            "longest; raise prove.seconds"
        )
    notes += [f"{each.server}: {each.first_error}" for each in evidence.standings if each.first_error][:2]
    return Result(
        checks=checks,
        artifacts=found,
        commands=_commands(workspace, services),
        advice=advice(failed(checks), rounds_in_software=_rounds_in_software(workspace.settings)),
        notes=notes,
        figures=evidence.figures(),
        foreign_seconds=foreign,
    )


def _rounds_in_software(settings: Settings) -> bool:
    return is_rounded(served_mode(settings)) and installed(os.environ) is None


def _commands(workspace: Workspace, services: Sequence[Service]) -> list[str]:
    """Return lines that serve and load by hand: a server of ours on the usual ports, one after the other."""
    work, prove = workspace.work, workspace.settings.prove
    repositories = {NEW: work / "S4_serve" / REPOSITORY, OLD: work / "S5_prove" / BASELINE}
    levels = ",".join(map(str, prove.concurrencies))
    lengths = work / EXPORTED / "lengths.txt"
    lines = []
    for each in services:
        load = ["npuserve", "bench", "--model", each.model, "--concurrency", levels]
        load += ["--lengths", f"@{lengths}"] if lengths.exists() else []
        if each.process is None:
            lines.append(shlex.join([*load, "--url", each.url]))
            continue
        lines += [f"{serve_command(repositories[each.name])} & {_READY}", shlex.join(load), "kill $! && wait"]
    return lines
