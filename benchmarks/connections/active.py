"""A closed loop of many connections with one call in flight on each: `h2load`, a client in C."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

WARM_UP_SECONDS = 2


@dataclass(frozen=True)
class ActiveLoad:
    """What the loop measured. `errors`: calls that failed, or whose answers were not as long as the right one."""

    requests_per_second: float
    p50_ms: float
    p99_ms: float
    errors: int


def closed_loop(url: str, body: Path, answer_bytes: int, clients: int, seconds: int, log: Path) -> ActiveLoad:
    """Run the loop. body: a framed request. answer_bytes: the length of its framed answer."""
    command = ["h2load", f"--clients={clients}", "--max-concurrent-streams=1", f"--data={body}"]
    command += ["--header=te: trailers", "--header=content-type: application/grpc"]
    # Not h2load's own warm-up: it counts the bytes of that time as well.
    _run([*command, f"--duration={WARM_UP_SECONDS}", url])
    log.unlink(missing_ok=True)  # h2load appends
    said = _run([*command, f"--duration={seconds}", f"--log-file={log}", url])
    counts = re.search(r"(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", said)
    data = re.search(r"\((\d+)\) data", said)
    if counts is None or data is None:
        raise RuntimeError(f"h2load said\n{said}")
    done, succeeded, *failures = (int(count) for count in counts.groups())
    # Answers that the end of the time cut off bring bytes that nobody counts; answers that are too short bring too few.
    wrong = max(0, done - int(data[1]) // answer_bytes)
    latencies_ms = np.loadtxt(log, usecols=2) / 1e3
    p50, p99 = np.percentile(latencies_ms, [50, 99])
    return ActiveLoad(succeeded / seconds, float(p50), float(p99), sum(failures) + wrong)


def _run(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
