"""Tries an AscendCL library in a process of its own: one that is broken may crash or hang."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PROGRAM = Path(__file__).with_name("acl_probe.py")
MARK = "npuserve doctor: "
"""Begins the line that is the answer."""
SECONDS = 60.0
"""A first start of devices takes seconds."""


@dataclass(frozen=True, slots=True)
class Probed:
    """is_loaded: all its functions are found. is_started: it was initialised, and there are devices."""

    is_loaded: bool
    is_started: bool
    text: str


def probe(files: Sequence[str], environment: Mapping[str, str], *, seconds: float = SECONDS) -> Probed:
    """Load the files, which together are one library, start it, count its devices and end it."""
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(_PROGRAM), *files],
            env={**environment, "ASCEND_LOG_DEVICE_FLUSH_TIMEOUT": "0"},
            capture_output=True,
            timeout=seconds,
            text=True,
            errors="replace",
            check=False,
            cwd=os.sep,
        )
    except subprocess.TimeoutExpired:
        return Probed(True, False, f"did not answer within {seconds:g} s")
    if done.returncode < 0:
        return Probed(True, False, f"crashed: {signal.Signals(-done.returncode).name}")
    # Libraries print too, before and after.
    for line in done.stdout.splitlines():
        if line.startswith(MARK):
            told = json.loads(line.removeprefix(MARK))
            return Probed(told["loaded"], told["started"], told["text"])
    last = (done.stderr.strip().splitlines() or ["no answer"])[-1]
    return Probed(False, False, f"could not be tried: {last}")
