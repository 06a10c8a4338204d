"""The process beside the server: `python -m npuserve.migrate.shadow.process`, with the ring as an open file.

Its first line of stdin is JSON: the options, and the ring's file. It tells on stdout what it finds, JSON line by line,
and ends with a report when stdin ends: as the server tells it to, or is gone.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from datetime import datetime
from typing import Any

from npuserve._load import MirrorReader
from npuserve.migrate.shadow.cases import Cases
from npuserve.migrate.shadow.options import ShadowOptions, options_of
from npuserve.migrate.shadow.replay import Replay
from npuserve.migrate.shadow.report import write_report
from npuserve.migrate.shadow.tally import Tally

_TELL_SECONDS = 1.0
# Between two reports of a shadow that runs: one that is killed leaves the last.
_REPORT_SECONDS = 60.0


def main() -> None:
    """Serve one shadow."""
    # Signals are the server's: it ends this process by closing its stdin, once all is answered.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    given = json.loads(sys.stdin.buffer.readline())
    options = options_of(given["options"])
    _yield_to_others(options.priority)
    reader = MirrorReader(given["ring"])
    asyncio.run(_Process(options, reader).run())


def _yield_to_others(priority: str) -> None:
    if priority != "normal":
        os.nice(19)
    if priority == "idle":
        # Refused in some containers, where the nice level does what it can.
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


class _Process:
    def __init__(self, options: ShadowOptions, reader: MirrorReader) -> None:
        self._options = options
        self._reader = reader
        self._tally = Tally()
        self._cases = Cases(options.report, most=options.keep_cases, most_bytes=options.keep_bytes)
        self._replay = Replay(options, reader, self._tally, self._cases, _log)
        self._started = datetime.now().astimezone()

    async def run(self) -> None:
        telling = asyncio.create_task(self._tell_now_and_then())
        stdin = asyncio.create_task(self._watch_stdin())
        try:
            await self._replay.run()
        finally:
            telling.cancel()
            stdin.cancel()
            failures = self._tally.failures(self._options.limits)
            report = self._write(failures)
            _say({"kind": "snapshot", "snapshot": self._snapshot()})
            _say({"kind": "end", "failures": failures, "report": report})

    async def _watch_stdin(self) -> None:
        ended = asyncio.Event()
        # Nothing follows the first line but the end.
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
        await ended.wait()
        self._replay.stop()
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())

    async def _tell_now_and_then(self) -> None:
        written = time.monotonic()
        while True:
            _say({"kind": "snapshot", "snapshot": self._snapshot()})
            await asyncio.sleep(_TELL_SECONDS)
            if time.monotonic() - written >= _REPORT_SECONDS:
                self._write(self._tally.failures(self._options.limits))
                written = time.monotonic()

    def _snapshot(self) -> dict[str, Any]:
        return {**self._tally.as_json(), "up": self._replay.is_up}

    def _write(self, failures: list[str]) -> str:
        found = {
            "reference": self._options.reference,
            "options": self._options.as_json(),
            "started": self._started.isoformat(timespec="seconds"),
            "ended": datetime.now().astimezone().isoformat(timespec="seconds"),
            "tap": self._reader.counts(),
            "failures": failures,
            **self._tally.as_json(),
            "cases": [case.as_json() for case in self._cases.worst()],
        }
        try:
            return str(write_report(self._options.report, found))
        except OSError as error:
            _log("error", f"the report cannot be written: {error}")
            return ""


def _log(level: str, text: str) -> None:
    _say({"kind": "log", "level": level, "text": text})


def _say(line: dict[str, Any]) -> None:
    # The server may be gone: the report is still to be written.
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
