"""Brings the servers that npuserve is measured against into build/peers: the real Triton, and LitServe.

Triton comes out of the wheel of nvidia-pytriton, which carries the server and what it links; its backend is compiled
here. LitServe gets a virtual environment of its own: its dependencies are not ours.
"""

import os
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fetch import PEERS, checked, download, run

PYTRITON = "nvidia-pytriton==0.7.0"
LITSERVE = "litserve==0.2.19"
BACKEND = "echo"
ECHO_SOURCE = Path(__file__).with_name("echo_backend.c")


@dataclass(frozen=True)
class Triton:
    """Where its parts lie; `environment` is what it runs in."""

    program: Path
    backends: Path
    environment: dict[str, str]


def triton() -> Triton:
    """The real Triton server (2.51, for CPUs) and its backend `echo`."""
    home = PEERS / "triton"
    program = home / "pytriton" / "tritonserver" / "bin" / "tritonserver"
    libraries = home / "nvidia_pytriton.libs"
    if not program.exists():
        wheel = download(PYTRITON, "--only-binary", ":all:", pattern="nvidia_pytriton-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            server = "pytriton/tritonserver/bin/tritonserver"
            members = [name for name in archive.namelist() if name.startswith(("nvidia_pytriton.libs/", server))]
            archive.extractall(home, members)
        program.chmod(0o755)
    backend = home / "backends" / BACKEND / f"libtriton_{BACKEND}.so"
    if not backend.exists() or backend.stat().st_mtime < ECHO_SOURCE.stat().st_mtime:
        backend.parent.mkdir(parents=True, exist_ok=True)
        run([os.environ.get("CC", "cc"), "-std=gnu11", "-O2", "-shared", "-fPIC", "-o", backend, ECHO_SOURCE])
    environment = {**os.environ, "LD_LIBRARY_PATH": str(libraries)}
    return Triton(program, backend.parent.parent, environment)


def litserve() -> Path:
    """The Python that has LitServe."""
    home = PEERS / "litserve"
    python = home / "bin" / "python"
    if not (home / ".installed").exists():
        run([sys.executable, "-m", "venv", "--clear", home])
        run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", LITSERVE, "uvloop", "httptools"])
        (home / ".installed").touch()
    return checked(python, "--version")
