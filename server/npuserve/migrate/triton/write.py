"""Carries out a plan: a new repository beside the old one, whole or not at all."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from npuserve.migrate.chain.settings import Settings
from npuserve.migrate.chain.stage import Tell
from npuserve.migrate.errors import MigrationError, SetupError
from npuserve.migrate.triton.conversion import Migration, settings_of
from npuserve.migrate.triton.outcome import Outcome, as_json
from npuserve.migrate.triton.plan import CONFIG, Planned, with_steps
from npuserve.migrate.triton.torchscript import trace_to_onnx

Run = Callable[[Settings, Path], Path]
"""Runs the chain in a work folder and returns the repository that it wrote. Raises MigrationError if a gate fails."""

REPORT = "migration.json"
# What belongs to the old files or is made anew.
_NOT_COPIED = shutil.ignore_patterns("__pycache__", ".*")


def write(planned: Sequence[Planned], migration: Migration, run: Run, tell: Tell) -> list[Outcome]:
    """Write the new repository and `migration.json` in it. Raises MigrationError, and then there is none."""
    check_target(planned, migration.target)
    partial = migration.target.with_name(migration.target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        done = [_carried(each, migration, partial, run, tell) for each in planned]
        whole = with_steps([each for each, _ in done])
        outcomes = [_outcome(each, backend) for each, (_, backend) in zip(whole, done, strict=True)]
        for each in whole:
            if each.action == "leave":
                shutil.rmtree(partial / each.name, ignore_errors=True)
        (partial / REPORT).write_text(json.dumps(as_json(outcomes), indent=1) + "\n", encoding="utf-8")
        if migration.target.exists():
            migration.target.rmdir()
        partial.rename(migration.target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return outcomes


def check_target(planned: Sequence[Planned], target: Path) -> None:
    """Raise MigrationError if the new repository would touch the old one, or anything else."""
    old = {each.path.resolve().parent for each in planned}
    new = target.resolve()
    for repository in old:
        if new == repository or repository in new.parents or new in repository.parents:
            raise MigrationError(
                f"the new repository {target} must lie beside the old one, {repository}, not in or around it"
            )
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise MigrationError(f"{target} is there already: name a folder that is not", "remove it to write it anew")


def _carried(planned: Planned, migration: Migration, partial: Path, run: Run, tell: Tell) -> tuple[Planned, str]:
    """Put one model into the new repository; return what became of the plan, and what runs the model."""
    backend = planned.config.backend or planned.config.platform if planned.config is not None else ""
    if planned.action == "copy":
        tell(f"copying {planned.name}")
        shutil.copytree(planned.path, partial / planned.name, ignore=_NOT_COPIED)
        return planned, backend
    if planned.action == "leave":
        return planned, backend
    try:
        for version in planned.versions:
            tell(f"converting {planned.name} {version}")
            _convert(planned, version, migration, partial / planned.name, run)
    except SetupError:
        # Every other model would fail for the same reason.
        raise
    except MigrationError as error:
        shutil.rmtree(partial / planned.name, ignore_errors=True)
        if planned.source == "onnx" and migration.keeps_onnx:
            shutil.copytree(planned.path, partial / planned.name, ignore=_NOT_COPIED)
            return replace(planned, action="copy", reason=f"{error}: it stays on ONNX Runtime"), backend
        return replace(planned, action="leave", reason=str(error)), backend
    _copy_extras(planned.path, partial / planned.name)
    return planned, migration.template.serve.backend


def _convert(planned: Planned, version: int, migration: Migration, model: Path, run: Run) -> None:
    """Convert one version; the first brings config, labels and warm-up too. Raises MigrationError."""
    assert planned.config is not None
    work = migration.work / planned.name / str(version)
    work.mkdir(parents=True, exist_ok=True)
    source = planned.model_file(version)
    if planned.source == "torchscript":
        source = trace_to_onnx(source, planned.config, migration.template.export.opset, work / "trace")
    elif source.is_dir():
        # Triton takes a folder of this name, for graphs whose weights lie beside them.
        source = source / source.name
    settings = settings_of(planned, version, source, migration, work)
    found = run(settings, work) / planned.name
    if not model.exists():
        shutil.copytree(found, model)
    else:
        shutil.copytree(found / str(version), model / str(version))


def _copy_extras(old: Path, new: Path) -> None:
    """Copy what lies beside the versions and is not there yet: labels of other languages, vocabularies, notes."""
    for path in old.iterdir():
        is_version = path.is_dir() and path.name.isdigit()
        if is_version or path.name in (CONFIG, "configs") or path.name.startswith(".") or (new / path.name).exists():
            continue
        if path.is_dir():
            shutil.copytree(path, new / path.name, ignore=_NOT_COPIED)
        else:
            shutil.copyfile(path, new / path.name)


def _outcome(planned: Planned, backend: str) -> Outcome:
    was = planned.config.backend or planned.config.platform if planned.config is not None else ""
    left = planned.action == "leave"
    return Outcome(
        name=planned.name,
        status="left" if left else "converted" if planned.action == "convert" else "copied",
        versions=() if left else planned.versions,
        was=was,
        backend="" if left else backend,
        reason=planned.reason,
        notes=() if left else planned.notes,
    )
