"""Log lines: one line an event, as text or as JSON, through the standard logging module."""

import json
import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TextIO

# A record's attribute (`extra`): members that its JSON line has besides the message.
FIELDS = "fields"
_LEVEL_LETTERS = {
    logging.DEBUG: "D",
    logging.INFO: "I",
    logging.WARNING: "W",
    logging.ERROR: "E",
    logging.CRITICAL: "F",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """Which lines are written, and how.

    verbose: 1 or more adds debug lines. info, warning, error: whether lines of that level are written.
    format: `default` (Triton's `I1231 23:59:59.123456 pid module:line] text`), `ISO8601`, or `json`.
    file: lines are appended to it; "" for stderr.
    """

    verbose: int = 0
    info: bool = True
    warning: bool = True
    error: bool = True
    format: str = "default"
    file: str = ""

    def writes(self, level: int) -> bool:
        """Say whether lines of a level are written."""
        if level >= logging.ERROR:
            return self.error
        if level >= logging.WARNING:
            return self.warning
        return self.info if level >= logging.INFO else self.verbose > 0


class LogSettings:
    """The options in force, which may change while the server runs. Used on the event loop, read by every thread."""

    def __init__(self, options: LogOptions, handler: logging.Handler) -> None:
        self._options = options
        self._handler = handler
        self._watchers: list[Callable[[], None]] = []
        handler.addFilter(lambda record: self._options.writes(record.levelno))
        self.change(options)

    @property
    def options(self) -> LogOptions:
        """What is written now, and how."""
        return self._options

    def watch(self, watcher: Callable[[], None]) -> None:
        """Call the watcher after every change; it must not raise."""
        self._watchers.append(watcher)

    def change(self, options: LogOptions) -> None:
        """Write by these options from now on; the file stays what it was."""
        self._options = replace(options, file=self._options.file)
        self._handler.setFormatter(
            JsonFormatter() if options.format == "json" else TextFormatter(iso=options.format == "ISO8601")
        )
        logging.getLogger().setLevel(logging.DEBUG if options.verbose else logging.INFO)
        for watcher in self._watchers:
            watcher()


def configure_logging(options: LogOptions, stream: TextIO | None = None) -> LogSettings:
    """Make the root logger write to the stream, in place of what it wrote to before; return what governs it.

    stream: None for the options' file, or stderr. Raises OSError if the file cannot be opened.
    """
    handler: logging.Handler
    if stream is None and options.file:
        handler = logging.FileHandler(options.file, encoding="utf-8")
    else:
        handler = logging.StreamHandler(stream or sys.stderr)
    logging.getLogger().handlers[:] = [handler]
    return LogSettings(options, handler)


class TextFormatter(logging.Formatter):
    """A line for people, led as Triton leads its lines: level, time (UTC, microseconds), process, place."""

    def __init__(self, *, iso: bool) -> None:
        super().__init__()
        self._iso = iso

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, with the traceback beneath if there is one."""
        moment = time.gmtime(record.created)
        micros = f"{int(record.created % 1 * 1e6):06d}"
        letter = _LEVEL_LETTERS.get(record.levelno, "I")
        if self._iso:
            lead = f"{time.strftime('%Y-%m-%dT%H:%M:%S', moment)}.{micros}Z {letter}"
        else:
            lead = f"{letter}{time.strftime('%m%d %H:%M:%S', moment)}.{micros}"
        line = f"{lead} {record.process} {record.module}:{record.lineno}] {record.getMessage()}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """A line for machines: one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the object: time (seconds since the epoch), level, logger, message, `fields`, exception."""
        line: dict[str, object] = {
            "time": round(record.created, 6),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= getattr(record, FIELDS, {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
