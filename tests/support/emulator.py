"""Where the emulator is: its library and its atc lie beside the installed npuserve package."""

from __future__ import annotations

import subprocess
from importlib.util import find_spec
from pathlib import Path


def _folder() -> Path:
    spec = find_spec("npuserve")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]) / "_emulator"


LIBRARY = _folder() / "libascendcl.so"
ATC = _folder() / "atc"


def run_atc(*flags: str) -> subprocess.CompletedProcess[str]:
    """Runs atc to its end, whatever its exit code."""
    return subprocess.run([str(ATC), *flags], capture_output=True, text=True, check=False, timeout=240)
