"""The models of the server: loads them, finds them for requests, tells their states, closes them."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.core.errors import ServeError, invalid
from npuserve.core.status import StatusCode
from npuserve.repository.loading import LoadedModel, ModelLoader
from npuserve.repository.scan import AMBIGUOUS, ModelDirectory, Scan, scan_repositories
from npuserve.repository.states import UNLOADED, IndexEntry, ModelEntry, ModelState, VersionEntry, reason_of
from npuserve.repository.versions import missing_versions, parse_version, select_versions

_log = logging.getLogger(__name__)


class ModelRegistry:
    """Every model by name and version. Used on the event loop only; nothing but `load_all` and `close` waits.

    loader: takes a version from its folder to an executor; the registry owns the executors and closes them.
    load_concurrency: versions loaded at the same time.
    strict_readiness: whether a version that failed to load makes the server not ready.
    """

    def __init__(self, loader: ModelLoader, *, load_concurrency: int = 4, strict_readiness: bool = True) -> None:
        self._loader = loader
        self._slots = asyncio.Semaphore(load_concurrency)
        self._strict_readiness = strict_readiness
        self._models: dict[str, ModelEntry] = {}
        self._is_loaded = False
        self._watchers: list[Callable[[], None]] = []

    def __repr__(self) -> str:
        serving = sum(len(entry.ready()) for entry in self._models.values())
        return f"<ModelRegistry models={len(self._models)} ready_versions={serving} failures={len(self.failures())}>"

    def watch(self, watcher: Callable[[], None]) -> None:
        """Call the watcher after every change of what is ready; it must not raise."""
        self._watchers.append(watcher)

    def _tell_watchers(self) -> None:
        for watcher in self._watchers:
            watcher()

    async def load_all(self, repositories: Sequence[Path]) -> None:
        """Load every model of the repositories. A model that fails is recorded (`failures`) and the others go on.

        Raises OSError if a repository cannot be listed.
        """
        scan = await asyncio.to_thread(scan_repositories, repositories)
        await self._load_scan(scan)
        self._is_loaded = True

    async def _load_scan(self, scan: Scan) -> None:
        for name, failure in scan.failures.items():
            self._fail_model(name, failure)
        async with asyncio.TaskGroup() as tasks:
            for directory in scan.models.values():
                tasks.create_task(self._load_model(directory))

    async def _load_model(self, directory: ModelDirectory) -> None:
        try:
            config = await asyncio.to_thread(self._loader.read_config, directory)
        except (ServeError, OSError) as error:
            self._fail_model(directory.name, str(error))
            return
        entry = self._models[directory.name] = ModelEntry(directory.name)
        for version in missing_versions(config.version_policy, directory.versions):
            _log.error(
                "version %d is specified for model '%s', but the version directory is not present",
                version,
                directory.name,
            )
        versions = select_versions(config.version_policy, directory.versions)
        if not versions:
            entry.failure = (
                f"at least one version must be available under the version policy of model '{directory.name}'"
            )
            _log.error("failed to load model '%s': %s", directory.name, entry.failure)
        entry.versions = {version: VersionEntry() for version in versions}
        async with asyncio.TaskGroup() as tasks:
            for version in versions:
                tasks.create_task(self._load_version(directory, version, config, entry.versions[version]))

    async def _load_version(
        self, directory: ModelDirectory, version: int, config: ModelConfig, entry: VersionEntry
    ) -> None:
        async with self._slots:
            try:
                entry.loaded = await self._load_or_give_back(directory, version, config)
            except ServeError as error:
                entry.reason = reason_of(error)
            except Exception:
                # Whatever one model's backend does, the others are served; the details are for the log alone.
                _log.exception("unexpected error while loading '%s' version %d", directory.name, version)
                entry.reason = "Internal: unexpected error while loading, see the server's log"
        entry.state = ModelState.UNAVAILABLE if entry.loaded is None else ModelState.READY
        if entry.loaded is None:
            _log.error("failed to load '%s' version %d: %s", directory.name, version, entry.reason)
        else:
            _log.info("successfully loaded '%s' version %d", directory.name, version)
            self._tell_watchers()

    async def _load_or_give_back(self, directory: ModelDirectory, version: int, config: ModelConfig) -> LoadedModel:
        """Load; if cancelled, wait for what is being loaded and close it, as a backend's thread cannot be stopped."""
        loading = asyncio.create_task(self._loader.load(directory, version, config))
        try:
            return await asyncio.shield(loading)
        except asyncio.CancelledError:
            await (await loading).executor.close()
            raise

    def _fail_model(self, name: str, failure: str) -> None:
        _log.error("Poll failed for model directory '%s': %s", name, failure)
        self._models[name] = ModelEntry(name, is_known=False, failure=failure)

    def ready_models(self) -> list[list[LoadedModel]]:
        """Return of each model, by name, the versions that are ready, ascending; models without any are left out."""
        return [ready for _, entry in sorted(self._models.items()) if (ready := entry.ready())]

    def lookup(self, name: str, version: str = "") -> LoadedModel:
        """Return the version that a request means: the one it names, else the highest that is ready.

        Raises ServeError: INVALID_ARGUMENT (no version number), NOT_FOUND, UNAVAILABLE (known, not ready).
        """
        return self.find(name, version)[-1]

    def find(self, name: str, version: str = "") -> list[LoadedModel]:
        """Return the version asked for, or all that are ready, ascending; never an empty list. Raises as `lookup`."""
        number = parse_version(version)
        entry = self._models.get(name)
        if entry is None or not entry.is_known:
            raise ServeError(StatusCode.NOT_FOUND, f"Request for unknown model: '{name}' is not found")
        if number is None:
            if ready := entry.ready():
                return ready
            raise ServeError(StatusCode.NOT_FOUND, f"Request for unknown model: '{name}' has no available versions")
        if number not in entry.versions:
            raise ServeError(StatusCode.NOT_FOUND, f"Request for unknown model: '{name}' version {number} is not found")
        for loaded in entry.ready():
            if loaded.version == number:
                return [loaded]
        raise ServeError(
            StatusCode.UNAVAILABLE, f"Request for unknown model: '{name}' version {number} is not at ready state"
        )

    def model_ready(self, name: str, version: str = "") -> bool:
        """Say whether the version, or any, is ready. Raises ServeError: INVALID_ARGUMENT (no version number)."""
        try:
            return bool(self.find(name, version))
        except ServeError as error:
            if error.status is StatusCode.INVALID_ARGUMENT:
                raise
            return False

    def select_for_statistics(self, name: str = "", version: str = "") -> list[LoadedModel]:
        """Return the versions to report on: of all models if `name` is empty, by name and version.

        Raises ServeError: INVALID_ARGUMENT, which is what Triton answers here for unknown models and versions.
        """
        number = parse_version(version)
        if not name:
            return [loaded for ready in self.ready_models() for loaded in ready]
        ready = self._models[name].ready() if name in self._models else []
        if not ready:
            raise invalid(f"requested model '{name}' is not available")
        chosen = [loaded for loaded in ready if number in (None, loaded.version)]
        if not chosen:
            raise invalid(f"requested model version is not available for model '{name}'")
        return chosen

    def index(self, *, ready_only: bool = False) -> list[IndexEntry]:
        """List what the repositories hold, by name and version. A model whose config is unusable has no state."""
        lines: list[IndexEntry] = []
        for name, entry in sorted(self._models.items()):
            if entry.failure == AMBIGUOUS:
                lines.append(IndexEntry(name, state=ModelState.UNAVAILABLE, reason=AMBIGUOUS))
            elif not entry.is_known:
                lines.append(IndexEntry(name))
            for version, state in sorted(entry.versions.items()):
                lines.append(IndexEntry(name, str(version), state.state, state.reason))
        return [line for line in lines if not ready_only or line.state == ModelState.READY]

    def failures(self) -> dict[str, str]:
        """Return why models failed to load: `name` or `name version N` to the reason."""
        failures: dict[str, str] = {}
        for name, entry in sorted(self._models.items()):
            if entry.failure:
                failures[name] = entry.failure
            for version, state in sorted(entry.versions.items()):
                if state.state is ModelState.UNAVAILABLE and state.reason != UNLOADED:
                    failures[f"{name} version {version}"] = state.reason
        return failures

    def ready(self) -> bool:
        """Say whether the server is ready.

        Strictly: every version that reached loading is READY or was unloaded. A model whose config could not be used
        never reached loading and does not count, as in Triton.
        """
        if not self._is_loaded:
            return False
        return not self._strict_readiness or all(
            state.state is ModelState.READY or state.reason == UNLOADED
            for entry in self._models.values()
            for state in entry.versions.values()
        )

    async def close(self) -> None:
        """Close every executor: accepted requests complete, new ones find no model. Idempotent.

        Raises ExceptionGroup after all are closed if some failed to.
        """
        entries = [
            entry
            for model in self._models.values()
            for entry in model.versions.values()
            if entry.state is ModelState.READY
        ]
        for entry in entries:
            entry.state = ModelState.UNLOADING
        self._tell_watchers()
        results = await asyncio.gather(*(_unload(entry) for entry in entries), return_exceptions=True)
        if errors := [result for result in results if isinstance(result, Exception)]:
            raise ExceptionGroup("some models failed to close", errors)


async def _unload(entry: VersionEntry) -> None:
    loaded, entry.loaded = entry.loaded, None
    try:
        if loaded is not None:
            await loaded.executor.close()
    finally:
        entry.state = ModelState.UNAVAILABLE
        entry.reason = UNLOADED
