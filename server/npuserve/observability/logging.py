"""Log lines: one line an event, as text or as JSON, through the standard logging module."""

import json
import logging
import sys
import time
from dataclasses import dataclass
from typing import TextIO

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
    """

    verbose: int = 0
    info: bool = True
    warning: bool = True
    error: bool = True
    format: str = "default"

    def writes(self, level: int) -> bool:
        """Say whether lines of a level are written."""
        if level >= logging.ERROR:
            return self.error
        if level >= logging.WARNING:
            return self.warning
        return self.info if level >= logging.INFO else self.verbose > 0


def configure_logging(options: LogOptions, stream: TextIO | None = None) -> None:
    """Make the root logger write to the stream (stderr), in place of what it wrote to before."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.addFilter(lambda record: options.writes(record.levelno))
    handler.setFormatter(
        JsonFormatter() if options.format == "json" else TextFormatter(iso=options.format == "ISO8601")
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if options.verbose else logging.INFO)


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
        """Return the object: time (seconds since the epoch), level, logger, message, exception."""
        line: dict[str, object] = {
            "time": round(record.created, 6),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
