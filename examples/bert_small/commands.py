"""The `npuserve` command of the environment that runs this example."""

import importlib.util
import os
import sys

_INSTALL = "pip install '.[emulator,convert,bench]'"


class CommandError(RuntimeError):
    """The package npuserve is not installed where this Python runs, or has no compiler."""


def npuserve() -> list[str]:
    """Return the start of an npuserve command line, run by this interpreter. Raises CommandError."""
    _require_package()
    return [sys.executable, "-m", "npuserve.cli.main"]


def compiler_version() -> str:
    """Return what tells the compiler in use from another, so that a new one makes new OM files. Raises CommandError."""
    _require_package()
    from npuserve.cli.acl_library import LibraryNotFoundError, atc_program

    try:
        program = atc_program(os.environ)
    except LibraryNotFoundError as error:
        raise CommandError(str(error)) from error
    status = program.stat()
    return f"{program} {status.st_size} {status.st_mtime_ns}"


def _require_package() -> None:
    if importlib.util.find_spec("npuserve") is None:
        raise CommandError(f"the package npuserve is not installed for {sys.executable}: {_INSTALL}")
