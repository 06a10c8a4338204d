"""Time that other people's code takes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(slots=True)
class ForeignTime:
    """seconds: spent so far within `spent`."""

    seconds: float = 0.0

    @contextmanager
    def spent(self) -> Iterator[None]:
        """Count what the block takes."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.seconds += time.monotonic() - started
