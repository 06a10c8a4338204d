"""Changes models while they are in use.

Every change of a model has one shape: its versions are built beside those that serve; then, in one step of the loop,
the table holds the new ones, and who looks up finds them; then the old ones are closed, once everybody who found them
has an answer. A build that fails leaves the table as it is.
"""

import asyncio
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from npuserve.repository.building import Built, ModelBuilder, close_all
from npuserve.repository.dependencies import Steps, dependents_of, find_circle
from npuserve.repository.loading import LoadedModel
from npuserve.repository.needs import MissingStepError, circle_text, failure_text, require_steps
from npuserve.repository.source import ModelSource
from npuserve.repository.states import UNLOADED, ModelEntry, ModelState, VersionEntry, reason_of
from npuserve.repository.table import ModelTable
from npuserve.repository.versions import missing_versions, select_versions

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What loading several models came to.

    changed: those of which something new serves. failures: why the others do not, as Triton states it behind
    `load failed for model 'M': `; those that were as they should be are in neither.
    """

    changed: set[str] = field(default_factory=set)
    failures: dict[str, str] = field(default_factory=dict)


class ModelChanges:
    """Loads and unloads the models of a table. Used on the event loop only."""

    def __init__(self, table: ModelTable, builder: ModelBuilder) -> None:
        self._table = table
        self._builder = builder
        # One change of a model at a time; none is held while waiting for another's.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._closings: set[asyncio.Task[list[Exception]]] = set()

    def __repr__(self) -> str:
        return f"<ModelChanges changing={len(self._locks)} closing={len(self._closings)}>"

    async def load(self, sources: Mapping[str, ModelSource], named: Collection[str] = ()) -> dict[str, str]:
        """Load side by side, steps before their ensembles; then anew the ensembles that need what has changed.

        named: those that are asked for by their names, and not only as steps. Returns `Outcome.failures`.
        """
        outcome = await self._load(sources, named, is_forced=False)
        needing = dependents_of(outcome.changed, self._table.steps()) - sources.keys()
        dependents = {name: source for name in needing if (source := self._table.models[name].source) is not None}
        if dependents:
            await self._load(dependents, (), is_forced=True)
        return outcome.failures

    async def unload(self, name: str, *, is_forgotten: bool) -> None:
        """Serve a model no longer; what was accepted is answered in the background.

        is_forgotten: whether it stays so when the models that it needs are loaded again.
        """
        async with self._lock(name):
            if entry := self._table.models.get(name):
                self._take_down(entry, is_forgotten=is_forgotten)

    async def unload_all(self) -> list[Exception]:
        """Unload every model and wait until all are closed. Return what went wrong."""
        for entry in self._table.models.values():
            self._take_down(entry, is_forgotten=True)
        results = await asyncio.gather(*self._closings)
        return [error for errors in results for error in errors]

    def _lock(self, name: str) -> asyncio.Lock:
        return self._locks.setdefault(name, asyncio.Lock())

    async def _load(self, sources: Mapping[str, ModelSource], named: Collection[str], *, is_forced: bool) -> Outcome:
        outcome = Outcome()
        steps: Steps = self._table.steps() | {name: source.steps for name, source in sources.items()}
        done = {name: asyncio.Event() for name in sources}

        async def load(name: str) -> None:
            try:
                if circle := find_circle(name, steps):
                    raise MissingStepError(circle_text(circle))
                for step in steps[name]:
                    if step in done:
                        await done[step].wait()
                async with self._lock(name):
                    require_steps(sources[name], self._table, outcome.failures)
                    await self._load_one(sources[name], outcome, is_named=name in named, is_forced=is_forced)
            except MissingStepError as error:
                outcome.failures[name] = str(error)
                self._note_missing_step(sources[name], str(error))
            finally:
                done[name].set()

        async with asyncio.TaskGroup() as tasks:
            for name in sources:
                tasks.create_task(load(name))
        return outcome

    def _note_missing_step(self, source: ModelSource, problem: str) -> None:
        """Note an ensemble that cannot be loaded; it is tried again when one of its steps changes."""
        _log.error("failed to load '%s': %s", source.name, problem)
        entry = self._table.models.setdefault(source.name, ModelEntry(source.name, is_known=False))
        if entry.ready():
            self._take_down(entry, is_forgotten=True)
        entry.failure = problem
        entry.source = source

    async def _load_one(self, source: ModelSource, outcome: Outcome, *, is_named: bool, is_forced: bool) -> None:
        """Build what the source asks for, unless it serves already, and let it take over."""
        entry = self._table.models.setdefault(source.name, ModelEntry(source.name, is_known=False))
        entry.is_named = entry.is_named or is_named
        serving = entry.source if entry.ready() else None
        if serving is not None and not is_forced and (serving is source or source.is_same_as(serving)):
            return
        versions = _versions_of(source)
        kept = {} if is_forced or serving is None else _kept(entry, source.same_versions(serving) & versions)
        if serving is None:
            self._show_loading(entry, versions)
        try:
            built = await self._builder.build(source, sorted(versions - kept.keys()))
        except BaseException:
            _mark_unloaded(entry.versions[version] for version in versions - kept.keys() if version in entry.versions)
            await source.discard()
            raise
        if built.failures or not versions:
            outcome.failures[source.name] = failure_text(source.name, built.failures)
            await self._reject(entry, source, built, is_forced=is_forced)
        else:
            self._swap(entry, source, built.loaded | kept)
            outcome.changed.add(source.name)

    def _show_loading(self, entry: ModelEntry, versions: Iterable[int]) -> None:
        entry.is_known = True
        entry.failure = ""
        entry.versions |= {version: VersionEntry() for version in versions}
        self._table.tell_watchers()

    async def _reject(self, entry: ModelEntry, source: ModelSource, built: Built, *, is_forced: bool) -> None:
        """Give up a build: what serves goes on, unless what it needs has changed beneath it."""
        if not entry.ready():
            for version, error in built.failures.items():
                entry.versions[version] = VersionEntry(ModelState.UNAVAILABLE, reason_of(error))
            for version in built.loaded:
                entry.versions[version] = VersionEntry(ModelState.UNAVAILABLE, UNLOADED)
            if not built.failures:
                entry.failure = failure_text(source.name, {})
                _log.error("failed to load model '%s': %s", source.name, entry.failure)
            entry.source = source if source.scratch is None else None
            self._table.tell_watchers()
        elif is_forced:
            self._take_down(entry, is_forgotten=False)
        _log_errors(await close_all(built.loaded.values(), source))

    def _swap(self, entry: ModelEntry, source: ModelSource, loaded: Mapping[int, LoadedModel]) -> None:
        superseded = [old for old in entry.ready() if loaded.get(old.version) is not old]
        leaving = [entry.versions[old.version] for old in superseded if old.version not in loaded]
        for version in leaving:
            version.state = ModelState.UNLOADING
        for number, model in loaded.items():
            entry.versions[number] = VersionEntry(ModelState.READY, loaded=model)
        before, entry.source = entry.source, source
        entry.is_known = True
        entry.failure = ""
        self._table.tell_watchers()
        self._close_in_background(superseded, leaving, None if before is source else before)

    def _take_down(self, entry: ModelEntry, *, is_forgotten: bool) -> None:
        ready = [version for version in entry.versions.values() if version.state is ModelState.READY]
        source = entry.source
        if is_forgotten or (source is not None and source.scratch is not None):
            entry.source = None
            entry.is_named = False
        for version in ready:
            version.state = ModelState.UNLOADING
        if ready:
            self._table.tell_watchers()
            self._close_in_background([version.loaded for version in ready if version.loaded], ready, source)

    def _close_in_background(
        self, superseded: Sequence[LoadedModel], leaving: Sequence[VersionEntry], source: ModelSource | None
    ) -> None:
        if superseded:
            closing = asyncio.create_task(self._close(superseded, leaving, source))
            self._closings.add(closing)
            closing.add_done_callback(self._closings.discard)

    async def _close(
        self, superseded: Sequence[LoadedModel], leaving: Sequence[VersionEntry], source: ModelSource | None
    ) -> list[Exception]:
        errors = await close_all(superseded, source)
        _log_errors(errors)
        _mark_unloaded(leaving)
        for loaded in superseded:
            _log.info("successfully unloaded '%s' version %d", loaded.name, loaded.version)
        self._table.tell_watchers()
        return errors


def _versions_of(source: ModelSource) -> frozenset[int]:
    """Return the versions that a source's policy asks for."""
    policy = source.config.version_policy
    for version in missing_versions(policy, source.directory.versions):
        _log.error(
            "version %d is specified for model '%s', but the version directory is not present", version, source.name
        )
    return frozenset(select_versions(policy, source.directory.versions))


def _kept(entry: ModelEntry, versions: Collection[int]) -> dict[int, LoadedModel]:
    """Return the loaded versions that would come out the same: they keep their counters and their memory."""
    return {loaded.version: loaded for loaded in entry.ready() if loaded.version in versions}


def _mark_unloaded(versions: Iterable[VersionEntry]) -> None:
    for version in versions:
        version.loaded = None
        version.state = ModelState.UNAVAILABLE
        version.reason = UNLOADED


def _log_errors(errors: Iterable[Exception]) -> None:
    for error in errors:
        _log.error("a model did not close cleanly", exc_info=error)
