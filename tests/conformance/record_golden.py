"""Records the golden answers of the parity suite from the real Triton: `make record-golden`.

NPUSERVE_TRITON is the command that starts it with a repository and three ports, for gRPC, HTTP and metrics; flags of
tritonserver follow, those of NPUSERVE_TRITON_FLAGS among them. It must have the backends `python` and `echo`
(benchmarks/frontend/echo_backend.c) and, where --cache-directory says, the cache `local`.
"""

import json
import os
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from support.golden_calls import Answer, Http, Target  # noqa: E402  # found by the line above
from support.golden_differences import PEER_DIES  # noqa: E402
from support.golden_models import write_repository  # noqa: E402
from support.golden_sessions import SESSIONS, Session, run_session  # noqa: E402

GOLDEN = Path(__file__).with_name("golden")
START_SECONDS = 120
STOP_SECONDS = 60
# A process that has been hit takes a moment to write its stack down.
DYING_SECONDS = 0.03


def main() -> int:
    """Record every session, or those that are named."""
    command = shlex.split(os.environ.get("NPUSERVE_TRITON", ""))
    flags = shlex.split(os.environ.get("NPUSERVE_TRITON_FLAGS", ""))
    if not command:
        print("NPUSERVE_TRITON must be the command that starts Triton", file=sys.stderr)
        return 2
    for name in sys.argv[1:] or SESSIONS:
        with triton(command, flags, SESSIONS[name]) as (target, alive):
            answers = run_session(name, "triton", target, _survived, alive)
        for family, seen in answers.items():
            _write(family, seen)
            print(f"{family}: {len(seen)} answers")
    return 0


def _write(family: str, answers: dict[str, Answer]) -> None:
    GOLDEN.mkdir(exist_ok=True)
    lines = (f"{json.dumps(name)}: {json.dumps(answer, sort_keys=True)}" for name, answer in sorted(answers.items()))
    (GOLDEN / f"{family}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


@contextmanager
def triton(command: list[str], flags: list[str], session: Session) -> Iterator[tuple[Target, Callable[[str], None]]]:
    """Run the real server over a session's repository."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as log:
        repository = Path(folder) / "models"
        write_repository(repository, session.models, "triton")
        grpc_port, http_port, metrics_port = _free_ports(3)
        ports = [str(port) for port in (grpc_port, http_port, metrics_port)]
        arguments = [*command, str(repository), *ports, *flags, *session.flags]
        process = subprocess.Popen(arguments, stdout=log, stderr=log)
        target = Target(f"127.0.0.1:{grpc_port}", http_port, metrics_port, repository)
        try:
            _wait(process, target)
            yield target, partial(_alive, process)
        except BaseException:
            log.seek(0)
            print(log.read()[-6000:], file=sys.stderr)
            raise
        finally:
            process.terminate()
            process.wait(STOP_SECONDS)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _wait(process: "subprocess.Popen[bytes]", target: Target) -> None:
    """Wait until the last of the ports is open."""
    until = time.monotonic() + START_SECONDS
    while "failed" in Http(path="/metrics", metrics=True).answer_at(target):
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError("Triton did not start")
        time.sleep(0.2)


def _survived(family: str, name: str) -> bool:
    return name not in PEER_DIES.get(family, ())


def _alive(process: "subprocess.Popen[bytes]", name: str) -> None:
    """Raise RuntimeError if the call has ended the server: such a call has no golden answer."""
    try:
        process.wait(DYING_SECONDS)
    except subprocess.TimeoutExpired:
        return
    raise RuntimeError(f"Triton died of the call '{name}'")


if __name__ == "__main__":
    raise SystemExit(main())
