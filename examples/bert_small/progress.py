"""A progress bar on stderr: redrawn in place on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from types import TracebackType
from typing import Self, TextIO, TypeVar

T = TypeVar("T")

BAR_WIDTH = 28
REDRAW_SECONDS = 0.1
LINE_SECONDS = 30.0


class Progress:
    """A bar with a title and a known total; use as a context manager and call `advance`."""

    def __init__(self, title: str, total: int, stream: TextIO | None = None) -> None:
        self._title = title
        self._total = max(total, 1)
        self._stream = stream if stream is not None else sys.stderr
        self._live = self._stream.isatty()
        self._done = 0
        self._note = ""
        self._started = time.monotonic()
        self._drawn = self._started

    def __enter__(self) -> Self:
        if self._live:
            self._draw()
        else:
            print(f"{self._title} ...", file=self._stream, flush=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._live:
            self._draw()
            print(file=self._stream, flush=True)
        else:
            end = "done" if kind is None else "failed"
            print(f"{self._title} {end}, {self._elapsed():.1f} s {self._note}".rstrip(), file=self._stream, flush=True)

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Count finished steps; `note` is shown after the bar."""
        self._done += steps
        self._note = note
        waited = time.monotonic() - self._drawn
        if self._live and (waited >= REDRAW_SECONDS or self._done >= self._total):
            self._draw()
        elif not self._live and waited >= LINE_SECONDS:
            self._drawn = time.monotonic()
            print(f"{self._title} {self._done / self._total:.0%} {note}".rstrip(), file=self._stream, flush=True)

    def _elapsed(self) -> float:
        return time.monotonic() - self._started

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        share = min(self._done / self._total, 1.0)
        bar = "█" * round(share * BAR_WIDTH)
        line = f"{self._title:<34} {bar:·<{BAR_WIDTH}} {share:4.0%} {self._elapsed():6.1f} s {self._note}"
        print(f"\r\x1b[2K{line}", end="", file=self._stream, flush=True)


def track(items: Iterable[T], title: str, total: int | None = None) -> Iterator[T]:
    """Yield the items and draw a bar; `total` is needed if they have no length."""
    if total is None:
        if not isinstance(items, Sized):
            raise TypeError("total is needed for items without a length")
        total = len(items)
    with Progress(title, total) as bar:
        for item in items:
            yield item
            bar.advance()
