"""What a front end is told of the shadow that it copies requests for."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorOptions:
    """How requests are mirrored.

    ring: the file that the shadow's process has mapped, too (native/core/mirror_ring.h). share: of requests, 0 to 1.
    models: by name; none: all. most_bytes: of a request with its answer.
    """

    ring: int
    share: float
    models: frozenset[str] = frozenset()
    most_bytes: int
