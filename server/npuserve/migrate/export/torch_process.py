"""Runs PyTorch's part of the export in its own process, and ends it whatever happens here."""

import collections
import json
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO

from npuserve.migrate.chain.stage import Tell
from npuserve.migrate.errors import MigrationError, SetupError
from npuserve.migrate.export.job import OUTCOME, Job, Outcome

GRAPH = "model.onnx"
LOG = "export.log"
_LAST_LINES = 3


def run_job(job: Job, graph: Path, log: Path, tell: Tell) -> Outcome:
    """Run a job; its graph becomes `graph`, what it writes to standard error `log`. Raises MigrationError."""
    with tempfile.TemporaryDirectory(dir=graph.parent) as name:
        folder = Path(name)
        job.write(folder / "job.json")
        with log.open("w", encoding="utf-8") as errors:
            code = _run(folder, errors, tell)
        outcome = _outcome(folder, code, log)
        (folder / GRAPH).replace(graph)
    return outcome


def _run(folder: Path, errors: IO[str], tell: Tell) -> int:
    command = [sys.executable, "-m", "npuserve.migrate.export.torch_child", str(folder / "job.json"), str(folder)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, errors="replace"
    )
    assert process.stdin is not None
    assert process.stdout is not None
    reader = threading.Thread(target=_relay, args=(process.stdout, tell), daemon=True)
    reader.start()
    try:
        return process.wait()
    finally:
        process.kill()
        process.wait()
        reader.join()
        process.stdout.close()
        process.stdin.close()


def _relay(lines: IO[str], tell: Tell) -> None:
    for line in lines:
        if text := line.strip():
            tell(text[:120])


def _outcome(folder: Path, code: int, log: Path) -> Outcome:
    path = folder / OUTCOME
    if not path.exists():
        with log.open(encoding="utf-8", errors="replace") as lines:
            last = " / ".join(line.strip() for line in collections.deque(lines, _LAST_LINES) if line.strip())
        reason = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        raise MigrationError(
            f"PyTorch's process {reason}: {last or 'it said nothing'}",
            f"see {LOG} for all that it said",
            "if the machine ran out of memory, lower export.samples or export.max_length",
        )
    fields = json.loads(path.read_text())
    if "errno" in fields:
        raise OSError(fields["errno"], fields["strerror"])
    if "message" in fields:
        kind = SetupError if fields["setup"] else MigrationError
        raise kind(fields["message"], *fields["advice"])
    return Outcome(**fields)
