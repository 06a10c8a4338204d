"""The `npuserve` command of the environment that runs this example."""

import importlib.util
import shutil
import sys
from pathlib import Path


class CommandError(RuntimeError):
    """npuserve is not installed where this Python runs."""


def npuserve() -> list[str]:
    """Return the start of an npuserve command line: the script beside this interpreter, else the one on PATH."""
    script = shutil.which("npuserve", path=str(Path(sys.executable).parent)) or shutil.which("npuserve")
    if script is None:
        raise CommandError(f"no npuserve command beside {sys.executable} or on PATH: pip install '.[emulator,convert]'")
    return [script]


def compiler_version() -> str:
    """Return what distinguishes the compiler in use, so that a new one makes new OM files."""
    spec = importlib.util.find_spec("npuserve")
    if spec is None or not spec.submodule_search_locations:
        raise CommandError("the package npuserve is not installed: pip install '.[emulator,convert]'")
    emulated = Path(spec.submodule_search_locations[0], "_emulator", "atc")
    if not emulated.exists():
        return "vendor"
    status = emulated.stat()
    return f"emulator {status.st_size} {status.st_mtime_ns}"
