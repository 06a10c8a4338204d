"""A program of CANN's as a process of its own: run to its end, its output kept."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO


def run_logged(command: Sequence[str], environment: Mapping[str, str], folder: Path, output: BinaryIO) -> int:
    """Run it in a folder; return the exit code. Raises OSError if it cannot be started.

    output: a file, which gets all that it prints by itself, so that it is whole whatever ends this process.
    """
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=dict(environment),
        start_new_session=True,
    )
    try:
        return process.wait()
    except BaseException:
        # The vendor's are scripts that start others.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
