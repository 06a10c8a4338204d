"""h2load as a client: closed loops of C connections with M requests in flight each, and paced loads."""

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

FAR_MORE_THAN_NEEDED = 256  # requests in flight a connection under a pace: an open loop, as long as a peer keeps up
WINDOW_BITS = ("-w", "24", "-W", "28")  # for large tensors: with the 64 KiB of the default, a client waits for itself


class LoadError(Exception):
    """A request failed, or an answer had not the length of a right one."""


@dataclass(frozen=True)
class Target:
    """What is asked, and how long a right answer's body is, gRPC's prefix included."""

    url: str
    body: Path
    answer_bytes: int
    http1: bool = False


@dataclass(frozen=True)
class Answers:
    """What one run counted."""

    count: int
    per_second: float


@dataclass(frozen=True)
class PacedAnswers:
    """What one paced run saw."""

    per_second: float
    p50_ms: float
    p99_ms: float


def closed_loop(
    target: Target, connections: int, in_flight: int, seconds: float, *, large: bool = False, warm_up: float = 0.0
) -> Answers:
    """Each of `connections` keeps `in_flight` requests open for `seconds`. Raises LoadError.

    HTTP/1.1 has one request in flight a connection: there, as many connections as there are requests in flight.
    """
    if target.http1:
        connections, in_flight = connections * in_flight, 1
    options = ["-c", str(connections), "-m", str(in_flight), "-D", _milliseconds(seconds)]
    if warm_up:
        options += ["--warm-up-time", _milliseconds(warm_up)]
    return _run(target, [*options, *(WINDOW_BITS if large else ())], connections * in_flight)


def paced(target: Target, connections: int, per_second: float, seconds: float) -> PacedAnswers:
    """Send so many requests a second, over all connections, whether answers come or not. Raises LoadError.

    h2load paces its connections in step: the requests come in bursts of `connections`.
    """
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "requests.tsv"
        options = ["-c", str(connections), "-m", str(FAR_MORE_THAN_NEEDED), "-D", _milliseconds(seconds)]
        options += ["--rps", f"{per_second / connections:.6g}", f"--log-file={log}"]
        answers = _run(target, options, connections * FAR_MORE_THAN_NEEDED)
        milliseconds = np.loadtxt(log, usecols=2) / 1e3
    p50, p99 = np.percentile(milliseconds, [50, 99])
    return PacedAnswers(answers.per_second, float(p50), float(p99))


def _milliseconds(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"


def _run(target: Target, options: list[str], most_unfinished: int) -> Answers:
    protocol = ["--h1", "-H", "content-type: application/json"]
    if not target.http1:
        protocol = ["-H", "te: trailers", "-H", "content-type: application/grpc"]
    command = ["h2load", "-t", "1", "-d", str(target.body), *protocol, *options, target.url]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rate = _found(r"finished in [^,]*, ([\d.]+) req/s", text)
    succeeded, failed = int(_found(r"(\d+) succeeded", text)), int(_found(r"(\d+) failed", text))
    ok = int(_found(r"status codes: (\d+) 2xx", text))
    body_bytes = int(_found(r"\((\d+)\) data", text))
    # Of answers that the end of the run cut off, h2load counts what had come: the status, some of the body.
    begun = ok - succeeded
    begun_bytes = body_bytes - succeeded * target.answer_bytes
    right = 0 <= begun <= most_unfinished and 0 <= begun_bytes <= most_unfinished * target.answer_bytes
    if failed or succeeded == 0 or not right:
        raise LoadError(f"{' '.join(command)}: answers of {target.answer_bytes} bytes were expected\n{text}")
    return Answers(succeeded, float(rate))


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise LoadError(f"no {pattern!r} in h2load's output:\n{text}")
    return match[1]
