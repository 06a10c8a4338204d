"""How long other people's programs took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Adds up the seconds of what it surrounds."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count the time within."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.seconds += time.monotonic() - started
