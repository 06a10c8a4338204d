"""The server's side of a shadow: the ring, the process at its other end, and what that tells."""

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import Any

from npuserve._load import MirrorReader
from npuserve.config.mirror_options import MirrorOptions
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.shadow.families import shadow_families
from npuserve.migrate.shadow.options import ShadowOptions
from npuserve.observability.exposition import Family

_log = logging.getLogger(__name__)

FAILED = 3
"""The exit code of a shadow that found more than its limits allow."""

_HEADER_BYTES = 4096
_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_REPORT_SECONDS = 20.0


class Shadow:
    """The shadow of one server, between `start` and `stop`. Any thread, one at a time.

    exit_code: 0, or why it failed; final after `stop`.
    """

    def __init__(self, options: ShadowOptions) -> None:
        self._options = options
        self._ring = -1
        self._counts: MirrorReader | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._listener: threading.Thread | None = None
        self._snapshot: Mapping[str, Any] = {}
        self._ended = False
        self.exit_code = 0

    @property
    def mirror(self) -> MirrorOptions:
        """What the front end is told. REQUIRES: it was started."""
        options = self._options
        return MirrorOptions(ring=self._ring, share=options.share, models=options.models, most_bytes=options.most_bytes)

    def start(self) -> None:
        """Make the ring and start the process. Raises MigrationError if the machine refuses."""
        try:
            self._options.report.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MigrationError(f"--report: cannot make {self._options.report}: {error.strerror or error}") from error
        try:
            self._ring = os.memfd_create("npuserve-shadow", os.MFD_CLOEXEC)
            os.ftruncate(self._ring, self._options.queue_bytes + _HEADER_BYTES)
            self._counts = MirrorReader(self._ring)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "npuserve.migrate.shadow.process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=(self._ring,),
                start_new_session=True,
            )
            told = {"options": self._options.as_json(), "ring": self._ring}
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(told).encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise MigrationError(f"the shadow's process cannot be started: {error.strerror or error}") from error
        self._listener = threading.Thread(target=self._listen, name="shadow", daemon=True)
        self._listener.start()

    def stop(self) -> None:
        """Let the process end with what it has, and wait for its report."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None and process.stdout is not None and self._listener is not None
        process.stdin.close()
        try:
            process.wait(self._options.drain_secs + _REPORT_SECONDS)
        except subprocess.TimeoutExpired:
            _log.error("the shadow's process does not end, and is killed; %s has what it wrote", self._options.report)
            process.kill()
            process.wait()
            self.exit_code = FAILED
        self._listener.join()
        process.stdout.close()
        os.close(self._ring)

    def families(self) -> list[Family]:
        """Return the metrics."""
        running = self._listener is not None and self._listener.is_alive()
        counts = {} if self._counts is None else self._counts.counts()
        return shadow_families(self._snapshot, counts, running=running)

    def _listen(self) -> None:
        """Take in what the process says, until it ends."""
        process = self._process
        assert process is not None and process.stdout is not None
        for line in process.stdout:
            try:
                self._heard(json.loads(line))
            except (ValueError, KeyError) as error:
                _log.error("the shadow's process said what is not understood: %s", error)
        if not self._ended:
            _log.error("the shadow's process has ended before its time: nothing is compared any more")
            self.exit_code = FAILED

    def _heard(self, said: dict[str, Any]) -> None:
        match said["kind"]:
            case "snapshot":
                self._snapshot = said["snapshot"]
            case "log":
                _log.log(_LEVELS[said["level"]], "shadow: %s", said["text"])
            case "end":
                self._ended = True
                for failure in said["failures"]:
                    _log.error("shadow: %s", failure)
                    self.exit_code = FAILED
                if said["report"]:
                    _log.info("shadow: the report is %s", said["report"])
                else:
                    self.exit_code = FAILED
