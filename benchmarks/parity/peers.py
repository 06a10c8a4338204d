"""Starts npuserve and the real Triton, each with its HTTP and its gRPC, Triton with its python backend."""

import os
import sys
import zipfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from benchmarks.fetch import PEERS, run
from benchmarks.frontend.peers import triton
from benchmarks.frontend.servers import NPUSERVE, Launch, free_port

# The python backend of this Triton cannot read BYTES with numpy 2.
NUMPY = "numpy<2"


@dataclass(frozen=True)
class Peer:
    """A peer to be started, and where it will speak HTTP. Its `launch.port` is gRPC's."""

    launch: Launch
    http_port: int


def npuserve_peer(repository: Path) -> Peer:
    """Our server on a repository."""
    grpc_port, http_port = free_port(), free_port()
    command: list[str | Path] = [NPUSERVE, "serve", "--model-repository", repository]
    command += ["--grpc-address=127.0.0.1", f"--grpc-port={grpc_port}", "--http-address=127.0.0.1"]
    command += [f"--http-port={http_port}", "--allow-metrics=false"]
    return Peer(Launch("npuserve", grpc_port, command, {**os.environ}), http_port)


def triton_peer(repository: Path) -> Peer:
    """The real Triton on a repository; its Python models run in an environment of their own."""
    parts = triton()
    _python_backend()
    python = _python_environment()
    grpc_port, http_port = free_port(), free_port()
    command: list[str | Path] = [parts.program, f"--model-repository={repository}"]
    command += [f"--backend-directory={parts.backends}", "--grpc-address=127.0.0.1", f"--grpc-port={grpc_port}"]
    command += ["--http-address=127.0.0.1", f"--http-port={http_port}", "--allow-metrics=false"]
    path = f"{python}{os.pathsep}{os.environ['PATH']}"
    environment = {**parts.environment, "PATH": path, "VIRTUAL_ENV": str(python.parent)}
    return Peer(Launch("triton", grpc_port, command, environment), http_port)


def _python_backend() -> None:
    """Take the python backend and the stub for this Python out of the wheel that the server came in."""
    home = PEERS / "triton" / "backends" / "python"
    if (home / "triton_python_backend_stub").exists():
        return
    home.mkdir(parents=True, exist_ok=True)
    wheel = next(PEERS.glob("nvidia_pytriton-*.whl"))
    stub = f"python_backend_stubs/{sys.version_info.major}.{sys.version_info.minor}/triton_python_backend_stub"
    with zipfile.ZipFile(wheel) as archive:
        for name in ("libtriton_python.so", "triton_python_backend_utils.py"):
            (home / name).write_bytes(archive.read(f"pytriton/tritonserver/backends/python/{name}"))
        target = home / "triton_python_backend_stub"
        target.write_bytes(archive.read(f"pytriton/tritonserver/{stub}"))
    target.chmod(0o755)


def _python_environment() -> Path:
    """Return the folder of programs of an environment with our versions of what the models import."""
    home = PEERS / "python_models"
    if not (home / ".installed").exists():
        run([sys.executable, "-m", "venv", "--clear", home])
        wanted = [f"{package}=={version(package)}" for package in ("onnxruntime", "tokenizers")]
        run([home / "bin" / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check", NUMPY, *wanted])
        (home / ".installed").touch()
    return home / "bin"
