"""Whether what an ensemble needs is there, and Triton's words for what is not."""

from collections.abc import Mapping, Sequence

from npuserve.core.errors import ServeError
from npuserve.repository.dependencies import required_versions
from npuserve.repository.source import ModelSource
from npuserve.repository.states import ModelEntry, ModelState, reason_of
from npuserve.repository.table import ModelTable


class MissingStepError(Exception):
    """An ensemble cannot be loaded as a model that it needs is not there; it has no version that could fail."""


def require_steps(source: ModelSource, table: ModelTable, failures: Mapping[str, str]) -> None:
    """Raise MissingStepError unless every step of an ensemble serves.

    failures: why models did not load just now.
    """
    missing = [step for step in sorted(source.steps) if not _is_there(step, table, failures)]
    if missing:
        raise MissingStepError(
            f"ensemble {source.name} contains models that are not available or ambiguous: {', '.join(missing)}"
        )
    for step in sorted(source.steps):
        entry = table.models.get(step)
        if entry is None or not entry.ready():
            reason = failures.get(step) or (_reasons(entry) if entry is not None else "")
            because = f" Model '{step}' loading failed with error: {reason}" if reason else ""
            raise MissingStepError(
                f"ensemble '{source.name}' depends on '{step}' which has no loaded version.{because}"
            )
    for step, version in required_versions(source.config):
        if version not in [loaded.version for loaded in table.models[step].ready()]:
            raise MissingStepError(
                f"ensemble '{source.name}' depends on '{step}' whose required version {version} is not loaded."
            )


def _is_there(step: str, table: ModelTable, failures: Mapping[str, str]) -> bool:
    entry = table.models.get(step)
    return step in failures or (entry is not None and (entry.is_known or entry.source is not None))


def _reasons(entry: ModelEntry) -> str:
    return entry.failure or "".join(
        f"version {number} is at {version.state} state: {version.reason};"
        for number, version in sorted(entry.versions.items())
        if version.state is not ModelState.READY
    )


def failure_text(name: str, failures: Mapping[int, ServeError]) -> str:
    """Return why a model did not load: of each version that failed, or that there was none to load."""
    return (
        "".join(
            f"version {version} is at UNAVAILABLE state: {reason_of(error)};"
            for version, error in sorted(failures.items())
        )
        or f"at least one version must be available under the version policy of model '{name}'"
    )


def circle_text(circle: Sequence[str]) -> str:
    """Return the refusal of ensembles that need each other: the first, ..., the last before the first again."""
    return f"circular dependency between ensembles: {circle[0]} -> ... -> {circle[-2]} -> {circle[0]}"
