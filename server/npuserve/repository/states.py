"""The state table: what is known of each model and each of its versions."""

from dataclasses import dataclass, field
from enum import StrEnum

from npuserve.core.errors import ServeError
from npuserve.core.status import StatusCode
from npuserve.repository.loading import LoadedModel
from npuserve.repository.source import ModelSource

UNLOADED = "unloaded"


class ModelState(StrEnum):
    """A version's state, as the repository index names it."""

    LOADING = "LOADING"
    READY = "READY"
    UNLOADING = "UNLOADING"
    UNAVAILABLE = "UNAVAILABLE"


@dataclass(slots=True)
class VersionEntry:
    """One version: its state, why it is unavailable, and what serves it while it is READY or UNLOADING."""

    state: ModelState = ModelState.LOADING
    reason: str = ""
    loaded: LoadedModel | None = None


@dataclass(slots=True)
class ModelEntry:
    """One model.

    failure: why the model as a whole has no versions: its config cannot be used, or its name is not unique, or no
    version may be loaded.
    is_known: whether it ever reached loading; a model that is not known is not found by requests.
    source: what it was built from, or last tried with if nothing of it serves; None if it is not to be served.
    is_named: whether it was loaded by its name, and not only as a step of an ensemble.
    """

    name: str
    is_known: bool = True
    failure: str = ""
    source: ModelSource | None = None
    is_named: bool = False
    versions: dict[int, VersionEntry] = field(default_factory=dict)

    def ready(self) -> list[LoadedModel]:
        """Return the versions that serve, ascending."""
        return [
            entry.loaded
            for _, entry in sorted(self.versions.items())
            if entry.state is ModelState.READY and entry.loaded is not None
        ]


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """A line of the repository index; `version`, `state` and `reason` are empty where there is none."""

    name: str
    version: str = ""
    state: str = ""
    reason: str = ""


_CODE_TEXTS = {
    StatusCode.CANCELLED: "Cancelled",
    StatusCode.UNKNOWN: "Unknown",
    StatusCode.INVALID_ARGUMENT: "Invalid argument",
    StatusCode.NOT_FOUND: "Not found",
    StatusCode.ALREADY_EXISTS: "Already exists",
    StatusCode.UNIMPLEMENTED: "Unsupported",
    StatusCode.UNAVAILABLE: "Unavailable",
}


def reason_of(error: ServeError) -> str:
    """Return an error as the index states it: `Invalid argument: text`."""
    return f"{_CODE_TEXTS.get(error.status, 'Internal')}: {error.message}"
