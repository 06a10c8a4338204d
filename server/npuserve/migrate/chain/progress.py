"""Where a run is: one line redrawn on a terminal, a line now and then in a log."""

import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

REDRAW_SECONDS = 0.2
LINE_SECONDS = 5.0


class Progress:
    """Shows the stages of a run. `tell` may be called from any thread, as often as one likes."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._live = self._stream.isatty()
        self._lock = threading.Lock()
        self._head = ""
        self._step = ""
        self._started = 0.0
        self._lined = 0.0

    @contextmanager
    def stage(self, head: str) -> Iterator[None]:
        """Show a stage while the block runs; its end is for `ended` to say. head: as `1/5 S1 export`."""
        with self._lock:
            self._head, self._step = head, ""
            self._started = self._lined = time.monotonic()
        stop = threading.Event()
        clock = threading.Thread(target=self._redraw, args=(stop,), name="progress", daemon=True)
        if self._live:
            clock.start()
        else:
            self._line(f"{head} ...")
        try:
            yield
        finally:
            stop.set()
            if self._live:
                clock.join()
                self._write("\r\x1b[2K")

    def tell(self, step: str) -> None:
        """Show what the stage does now."""
        with self._lock:
            self._step = step
            now = time.monotonic()
            if self._live or now - self._lined < LINE_SECONDS:
                return
            self._lined = now
            self._line(self._text())

    def say(self, text: str) -> None:
        """Write a line between stages."""
        self._line(text)

    def ended(self, head: str, verdict: str, seconds: float) -> None:
        """Say how a stage ended."""
        self._line(f"{head:<16} {verdict:<8} {seconds:6.1f} s")

    def _redraw(self, stop: threading.Event) -> None:
        while True:
            with self._lock:
                width = shutil.get_terminal_size().columns - 1
                self._write(f"\r\x1b[2K{self._text()[:width]}")
            if stop.wait(REDRAW_SECONDS):
                return

    def _text(self) -> str:
        return f"{self._head:<16} {time.monotonic() - self._started:6.1f} s  {self._step}".rstrip()

    def _line(self, text: str) -> None:
        self._write(f"{text}\n")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
