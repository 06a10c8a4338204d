"""Builds the versions of a model, all or none, and closes the ones that are superseded."""

import asyncio
import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from npuserve.core.errors import ServeError
from npuserve.core.status import StatusCode
from npuserve.repository.loading import LoadedModel, ModelLoader
from npuserve.repository.source import ModelSource

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Built:
    """What became of each version of a model: loaded, or why not."""

    loaded: dict[int, LoadedModel] = field(default_factory=dict)
    failures: dict[int, ServeError] = field(default_factory=dict)


class ModelBuilder:
    """Loads versions. Used on the event loop only.

    concurrency: versions loaded at the same time. retries: how often one that failed is tried again.
    """

    def __init__(self, loader: ModelLoader, *, concurrency: int, retries: int = 0) -> None:
        self._loader = loader
        self._slots = asyncio.Semaphore(concurrency)
        self._retries = retries

    async def build(self, source: ModelSource, versions: Collection[int]) -> Built:
        """Load the versions. If cancelled, what was loaded is closed."""
        built = Built()
        try:
            async with asyncio.TaskGroup() as tasks:
                for version in versions:
                    tasks.create_task(self._build_version(source, version, built))
        except BaseException:
            await asyncio.gather(*(close(loaded) for loaded in built.loaded.values()), return_exceptions=True)
            raise
        return built

    async def _build_version(self, source: ModelSource, version: int, built: Built) -> None:
        async with self._slots:
            for _ in range(self._retries + 1):
                try:
                    built.loaded[version] = await self._load_or_give_back(source, version)
                except ServeError as error:
                    built.failures[version] = error
                except Exception:
                    # Whatever one model's backend does, the others are served; the details are for the log alone.
                    _log.exception("unexpected error while loading '%s' version %d", source.name, version)
                    built.failures[version] = ServeError(
                        StatusCode.INTERNAL, "unexpected error while loading, see the server's log"
                    )
                else:
                    built.failures.pop(version, None)
                    _log.info("successfully loaded '%s' version %d", source.name, version)
                    return
                _log.error("failed to load '%s' version %d: %s", source.name, version, built.failures[version])

    async def _load_or_give_back(self, source: ModelSource, version: int) -> LoadedModel:
        """Load; if cancelled, wait for what is being loaded and close it, as a backend's thread cannot be stopped."""
        loading = asyncio.create_task(self._loader.load(source.directory, version, source.config))
        try:
            return await asyncio.shield(loading)
        except asyncio.CancelledError:
            await (await loading).executor.close()
            raise


async def close(loaded: LoadedModel) -> None:
    """Close a version that lookups no longer find, once every request that found it before is answered."""
    # Requests that front ends gathered for its sink are submitted within the loop's round, before this goes on.
    await asyncio.sleep(0)
    await loaded.leases.end()
    await loaded.executor.close()


async def close_all(superseded: Iterable[LoadedModel], source: ModelSource | None = None) -> list[Exception]:
    """Close versions side by side, then discard what they were built from. Return what went wrong."""
    results = await asyncio.gather(*(close(loaded) for loaded in superseded), return_exceptions=True)
    errors = [result for result in results if isinstance(result, Exception)]
    if source is not None:
        try:
            await source.discard()
        except OSError as error:
            errors.append(error)
    return errors
