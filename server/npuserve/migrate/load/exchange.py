"""What the parent and a client process say to each other, pickled."""

import pickle
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from npuserve._load import TallyFields


@dataclass(frozen=True, slots=True)
class Task:
    """What the native client is made with."""

    client: dict[str, Any]


class Slice(TypedDict):
    """What one process has counted in one stretch of time."""

    tally: "TallyFields"
    seconds: float
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class End:
    """The last word. unanswered: requests that were given up."""

    answers: dict[int, bytes]
    unanswered: int


def send(target: IO[bytes], value: Any) -> None:
    """Write one value."""
    pickle.dump(value, target)
    target.flush()
