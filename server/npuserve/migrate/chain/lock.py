"""One run at a time in a work folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from npuserve.migrate.errors import MigrationError

FILE = ".lock"


@contextmanager
def locked(work: Path) -> Iterator[None]:
    """Hold the folder. Raises MigrationError if another process does, OSError if it cannot be written."""
    work.mkdir(parents=True, exist_ok=True)
    with (work / FILE).open("a+", encoding="utf-8") as file:
        try:
            # A record lock: the system gives it up however the process ends, and children do not inherit it.
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise MigrationError(
                f"another run (process {_holder(file.name)}) works in {work}",
                "wait for it to end, or give this one a folder of its own by --work",
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _holder(name: str) -> str:
    return Path(name).read_text(encoding="utf-8") or "unknown"
