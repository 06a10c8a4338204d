"""What ended a stage, in a sentence, with what to try and the exit code."""

import errno
import shutil
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from npuserve.migrate.errors import MigrationError, SetupError

PASSED, GATE_FAILED, WRONG_INPUT, ENVIRONMENT = 0, 1, 2, 3

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# Libraries that write files themselves tell of a full disk by exceptions of their own.
_NO_ROOM_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why a stage did not end."""

    message: str
    code: int
    advice: Sequence[str] = ()


def fault_of(error: Exception, work: Path) -> Fault:
    """Return what to tell of an exception."""
    if isinstance(error, SetupError):
        return Fault(message=str(error), code=ENVIRONMENT, advice=error.advice)
    if isinstance(error, MigrationError):
        return Fault(message=str(error), code=WRONG_INPUT, advice=error.advice)
    if isinstance(error, ImportError):
        return Fault(
            message=f"a package is missing or broken: {error}",
            code=ENVIRONMENT,
            advice=("pip install 'npuserve[convert]'",),
        )
    if _is_full(error, work):
        return Fault(
            message=f"there is no room to write in {work}: {error}",
            code=ENVIRONMENT,
            advice=("make room and run again: finished stages are kept", "work on another disk by --work"),
        )
    if isinstance(error, OSError):
        return Fault(message=_of_system(error), code=ENVIRONMENT)
    where = traceback.extract_tb(error.__traceback__)
    place = f", in {Path(where[-1].filename).name} line {where[-1].lineno}" if where else ""
    return Fault(message=f"unexpected {type(error).__name__}: {error}{place}", code=ENVIRONMENT)


def _is_full(error: Exception, work: Path) -> bool:
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    try:
        return shutil.disk_usage(work).free < _NO_ROOM_BYTES
    except OSError:
        return False


def _of_system(error: OSError) -> str:
    reason = error.strerror or str(error)
    return f"{error.filename}: {reason}" if error.filename else reason
