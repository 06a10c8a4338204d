"""The models of the server: what is loaded at start, what clients and the repositories change, the end of all."""

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from npuserve.config.control_options import ALL_MODELS, ControlOptions
from npuserve.core.errors import ServeError, invalid
from npuserve.core.status import StatusCode
from npuserve.repository.building import ModelBuilder
from npuserve.repository.changing import ModelChanges
from npuserve.repository.dependencies import all_steps, dependents_of
from npuserve.repository.loading import ModelLoader
from npuserve.repository.overrides import (
    LoadOverride,
    LoadParameter,
    check_model_name,
    load_override,
    unloads_dependents,
)
from npuserve.repository.polling import Sight, look, plan_poll
from npuserve.repository.scan import ModelDirectory, list_names
from npuserve.repository.source import ModelSource, SourceReader
from npuserve.repository.states import ModelEntry
from npuserve.repository.table import ModelTable

_log = logging.getLogger(__name__)


class ModelRegistry(ModelTable):
    """Every model by name and version, and the ways to change them. Used on the event loop only.

    loader: takes a version from its folder to an executor; the registry owns the executors and closes them.
    load_concurrency: versions loaded at the same time.
    strict_readiness: whether a version that failed to load makes the server not ready.
    """

    def __init__(
        self,
        loader: ModelLoader,
        *,
        load_concurrency: int = 4,
        strict_readiness: bool = True,
        control: ControlOptions | None = None,
    ) -> None:
        super().__init__()
        self._control = control or ControlOptions()
        self._reader = SourceReader(loader, self._control.config_name)
        builder = ModelBuilder(loader, concurrency=load_concurrency, retries=self._control.load_retry_count)
        self._changes = ModelChanges(self, builder)
        self._strict_readiness = strict_readiness
        self._repositories: tuple[Path, ...] = ()
        self._sight: Sight | None = None
        self._is_loaded = False
        self._is_closing = False
        self._tasks: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        serving = sum(len(entry.ready()) for entry in self.models.values())
        return f"<ModelRegistry models={len(self.models)} ready_versions={serving} failures={len(self.failures())}>"

    def ready(self) -> bool:
        """Say whether the server is ready.

        Strictly: every version that reached loading is READY or was unloaded. A model whose config could not be used
        never reached loading and does not count, as in Triton.
        """
        return self._is_loaded and not self._is_closing and (not self._strict_readiness or self.all_settled())

    @property
    def is_closing(self) -> bool:
        """Whether `begin_close` was called."""
        return self._is_closing

    # --- Start.

    async def load_all(self, repositories: Sequence[Path]) -> None:
        """Load the models that the control mode says. One that fails is recorded (`failures`), the others go on.

        Raises OSError if a repository cannot be listed.
        """
        self._repositories = tuple(repositories)
        self._see(await asyncio.to_thread(look, self._repositories, self._control.config_name))
        if self._control.mode == "explicit" and self._control.load_models != (ALL_MODELS,):
            await asyncio.gather(*(self._load_at_start(name) for name in dict.fromkeys(self._control.load_models)))
        else:
            assert self._sight is not None
            for name, failure in self._sight.scan.failures.items():
                self._fail_model(name, failure)
            await self._load_directories(self._sight.scan.models.values())
        self._is_loaded = True
        self.tell_watchers()
        if self._control.mode == "poll":
            self._own(self._poll())

    async def _load_at_start(self, name: str) -> None:
        try:
            await self._load_named(name, None)
        except ServeError as error:
            if name not in self.models:
                self._fail_model(name, error.message)

    async def _load_directories(self, directories: Iterable[ModelDirectory]) -> None:
        sources: dict[str, ModelSource] = {}
        for directory in directories:
            try:
                sources[directory.name] = await asyncio.to_thread(self._reader.read, directory)
            except (ServeError, OSError) as error:
                self._fail_model(directory.name, str(error))
        await self._changes.load(sources, named=sources.keys())

    def _see(self, sight: Sight) -> None:
        self._sight = sight
        self.listed = dict.fromkeys(sight.scan.models, "") | sight.scan.failures

    def _fail_model(self, name: str, failure: str) -> None:
        """Note that a model's folder is of no use. What serves of it goes on."""
        _log.error("Poll failed for model directory '%s': %s", name, failure)
        if name not in self.models or not self.models[name].ready():
            self.models[name] = ModelEntry(name, is_known=False, failure=failure)

    # --- What clients ask for.

    async def load_model(self, name: str, parameters: Mapping[str, LoadParameter] | None = None) -> None:
        """Load a model, or load it anew if it has changed; what served before serves until the new versions do.

        parameters: `config`, the JSON of a ModelConfig in place of the folder's, and `file:<version>/<path>`, contents
        in place of the folder's. The load goes on if the caller is cancelled.
        Raises ServeError: UNAVAILABLE (another control mode, or the server stops), INVALID_ARGUMENT (the name, the
        parameters, or the model failed to load), INTERNAL (its folder or config cannot be read).
        """
        override = load_override(name, parameters or {})
        self._require_explicit()
        check_model_name(name)
        await asyncio.shield(self._own(self._load_named(name, override)))

    async def unload_model(self, name: str, parameters: Mapping[str, LoadParameter] | None = None) -> None:
        """Unload a model and the ensembles that need it. Requests that were accepted are answered in the background.

        parameters: `unload_dependents`: also unload the steps that nobody loaded by name and nothing else needs.
        An unknown model is unloaded already. Raises ServeError: UNAVAILABLE, INVALID_ARGUMENT, as `load_model`.
        """
        with_steps = unloads_dependents(parameters or {})
        self._require_explicit()
        await asyncio.shield(self._own(self._unload_named(name, with_steps=with_steps)))

    async def refresh_index(self) -> None:
        """List the repositories' folders again, for `index`. Raises OSError."""
        self.listed = await asyncio.to_thread(list_names, self._repositories)

    def _require_explicit(self) -> None:
        if self._control.mode != "explicit":
            raise ServeError(
                StatusCode.UNAVAILABLE, "explicit model load / unload is not allowed if polling is enabled"
            )
        if self._is_closing:
            raise ServeError(StatusCode.UNAVAILABLE, "Server is stopping, models are no longer loaded or unloaded")

    async def _load_named(self, name: str, override: LoadOverride | None) -> None:
        entry = self.models.get(name)
        serving = entry.source if entry is not None and entry.ready() else None
        source = await asyncio.to_thread(self._reader.find, self._repositories, name, override, serving)
        if source.scratch is None:
            self.listed[name] = ""
        sources = {name: source}
        await self._add_steps(sources)
        failures = await self._changes.load(sources, named=(name,))
        if failure := failures.get(name):
            raise invalid(f"load failed for model '{name}': {failure}\n")

    async def _add_steps(self, sources: dict[str, ModelSource]) -> None:
        """Read the models that the given ones need and that do not serve; one that cannot be read is left out."""
        waiting = [step for source in sources.values() for step in sorted(source.steps)]
        while waiting:
            step = waiting.pop(0)
            entry = self.models.get(step)
            if step in sources or (entry is not None and entry.ready()):
                continue
            try:
                sources[step] = await asyncio.to_thread(self._reader.find, self._repositories, step)
            except ServeError:
                continue  # the reader has logged why; the ensemble says that it is missing
            waiting += sorted(sources[step].steps)

    async def _unload_named(self, name: str, *, with_steps: bool) -> None:
        steps = all_steps(name, self.steps())
        for dependent in dependents_of((name,), self.steps()):
            await self._changes.unload(dependent, is_forgotten=False)
        await self._changes.unload(name, is_forgotten=True)
        while with_steps and (loose := [step for step in sorted(steps) if self._is_loose(step)]):
            for step in loose:
                await self._changes.unload(step, is_forgotten=True)

    def _is_loose(self, step: str) -> bool:
        """Say whether a model that serves was not asked for by name and is needed by none that serves."""
        entry = self.models.get(step)
        if entry is None or entry.is_named or not entry.ready():
            return False
        return not any(
            other.source is not None and step in other.source.steps for other in self.models.values() if other.ready()
        )

    # --- What the repositories change.

    async def poll_once(self) -> None:
        """Look at the repositories: load what is new or has changed, unload what is gone. Raises OSError."""
        assert self._sight is not None
        before, now = self._sight, await asyncio.to_thread(look, self._repositories, self._control.config_name)
        plan = plan_poll(before, now)
        self._see(now)
        for name, failure in now.scan.failures.items():
            if before.scan.failures.get(name) != failure:
                self._fail_model(name, failure)
        for name in plan.remove:
            await self._unload_named(name, with_steps=False)
            self.models.pop(name, None)
        await self._load_directories(plan.load)

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(self._control.poll_secs)
            try:
                await self.poll_once()
            except Exception:
                # One look that failed, as when a network disk is away for a while, must not end the following.
                _log.exception("failed to poll the model repositories")

    def _own(self, change: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(change)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # --- The end.

    def begin_close(self) -> None:
        """Change no model any more, and tell the watchers that the server stops. Idempotent."""
        if not self._is_closing:
            self._is_closing = True
            self.tell_watchers()

    async def close(self) -> None:
        """Close every executor: accepted requests complete, new ones find no model. Idempotent.

        Raises ExceptionGroup after all are closed if some failed to.
        """
        self.begin_close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if errors := await self._changes.unload_all():
            raise ExceptionGroup("some models failed to close", errors)
