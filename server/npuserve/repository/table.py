"""The models as requests and probes see them: found by name and version, listed with their states."""

from collections.abc import Callable

from npuserve.core.errors import ServeError, invalid
from npuserve.core.status import StatusCode
from npuserve.repository.loading import LoadedModel
from npuserve.repository.scan import AMBIGUOUS
from npuserve.repository.states import UNLOADED, IndexEntry, ModelEntry, ModelState
from npuserve.repository.versions import parse_version


class ModelTable:
    """Every model by name and version. Used on the event loop only; nothing waits.

    models: for the rest of this room alone. listed: what the repositories were last seen to hold: for each name why
    its folder is of no use, or "".
    """

    def __init__(self) -> None:
        self.models: dict[str, ModelEntry] = {}
        self.listed: dict[str, str] = {}
        self._watchers: list[Callable[[], None]] = []

    def watch(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Call the watcher after every change of a version's state; it must not raise. Return what ends that."""
        self._watchers.append(watcher)

        def end() -> None:
            if watcher in self._watchers:
                self._watchers.remove(watcher)

        return end

    def tell_watchers(self) -> None:
        """Tell every watcher that something has changed."""
        for watcher in tuple(self._watchers):
            watcher()

    def ready_models(self) -> list[list[LoadedModel]]:
        """Return of each model, by name, the versions that are ready, ascending; models without any are left out."""
        return [ready for _, entry in sorted(self.models.items()) if (ready := entry.ready())]

    def lookup(self, name: str, version: str = "") -> LoadedModel:
        """Return the version that a request means: the one it names, else the highest that is ready.

        Raises ServeError: INVALID_ARGUMENT (no version number), NOT_FOUND, UNAVAILABLE (known, not ready).
        """
        return self.find(name, version)[-1]

    def find(self, name: str, version: str = "") -> list[LoadedModel]:
        """Return the version asked for, or all that are ready, ascending; never an empty list. Raises as `lookup`."""
        number = parse_version(version)
        entry = self.models.get(name)
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

    def knows(self, name: str) -> bool:
        """Say whether there is, or was, such a model, in whatever state."""
        return name in self.models

    def steps(self) -> dict[str, frozenset[str]]:
        """Return the models that each model needs, as far as it is, or is to be, served."""
        return {name: entry.source.steps for name, entry in self.models.items() if entry.source is not None}

    def select_for_statistics(self, name: str = "", version: str = "") -> list[LoadedModel]:
        """Return the versions to report on: of all models if `name` is empty, by name and version.

        Raises ServeError: INVALID_ARGUMENT, which is what Triton answers here for unknown models and versions.
        """
        number = parse_version(version)
        if not name:
            return [loaded for ready in self.ready_models() for loaded in ready]
        ready = self.models[name].ready() if name in self.models else []
        if not ready:
            raise invalid(f"requested model '{name}' is not available")
        chosen = [loaded for loaded in ready if number in (None, loaded.version)]
        if not chosen:
            raise invalid(f"requested model version is not available for model '{name}'")
        return chosen

    def index(self, *, ready_only: bool = False) -> list[IndexEntry]:
        """List what the repositories hold, by name and version.

        A model that never reached loading has no state. One that serves from contents which a client gave, and has no
        folder, is not listed.
        """
        lines: list[IndexEntry] = []
        for name, problem in sorted(self.listed.items()):
            entry = self.models.get(name)
            if problem == AMBIGUOUS:
                lines.append(IndexEntry(name, state=ModelState.UNAVAILABLE, reason=AMBIGUOUS))
            elif entry is None or not entry.versions:
                lines.append(IndexEntry(name))
            else:
                lines.extend(
                    IndexEntry(name, str(version), state.state, state.reason)
                    for version, state in sorted(entry.versions.items())
                )
        return [line for line in lines if not ready_only or line.state == ModelState.READY]

    def failures(self) -> dict[str, str]:
        """Return why models failed to load: `name` or `name version N` to the reason."""
        failures: dict[str, str] = {}
        for name, entry in sorted(self.models.items()):
            if entry.failure:
                failures[name] = entry.failure
            for version, state in sorted(entry.versions.items()):
                if state.state is ModelState.UNAVAILABLE and state.reason != UNLOADED:
                    failures[f"{name} version {version}"] = state.reason
        return failures

    def all_settled(self) -> bool:
        """Say whether every version that reached loading is READY or was unloaded."""
        return all(
            state.state is ModelState.READY or state.reason == UNLOADED
            for entry in self.models.values()
            for state in entry.versions.values()
        )
