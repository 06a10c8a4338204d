"""The real grpcurl against a running server: list, describe, call, with no proto files of its own."""

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.peers import PeerUnavailableError, grpcurl
from support.server import Server


@pytest.fixture(scope="session")
def program() -> Path:
    try:
        return grpcurl()
    except PeerUnavailableError as error:
        pytest.skip(f"grpcurl cannot be had: {error}")


def run(program: Path, server: Server, *words: str, data: Any = None) -> "subprocess.CompletedProcess[str]":
    flags = ["-plaintext", "-max-time", "20", *(["-d", json.dumps(data)] if data is not None else [])]
    return subprocess.run(
        [program, *flags, server.url, *words], capture_output=True, text=True, timeout=60, check=False
    )


def test_list_names_the_services(program: Path, server: Server) -> None:
    result = run(program, server, "list")
    assert result.returncode == 0, result.stderr
    # grpcurl leaves the reflection service that it uses in the list.
    assert {"inference.GRPCInferenceService", "grpc.health.v1.Health"} <= set(result.stdout.split())


def test_list_names_the_methods_of_a_service(program: Path, server: Server) -> None:
    methods = run(program, server, "list", "inference.GRPCInferenceService").stdout.split()
    assert len(methods) == 20
    assert "inference.GRPCInferenceService.ModelInfer" in methods


@pytest.mark.parametrize(
    ("symbol", "text"),
    [
        ("inference.GRPCInferenceService", "rpc ModelInfer ( .inference.ModelInferRequest )"),
        ("inference.GRPCInferenceService.ServerLive", "returns ( .inference.ServerLiveResponse )"),
        ("inference.ModelConfig", "int32 max_batch_size = 4;"),
        ("grpc.health.v1.Health", "rpc Check"),
    ],
)
def test_describe_prints_definitions(program: Path, server: Server, symbol: str, text: str) -> None:
    result = run(program, server, "describe", symbol)
    assert result.returncode == 0, result.stderr
    assert text in result.stdout


def test_describing_what_is_not_there_fails(program: Path, server: Server) -> None:
    result = run(program, server, "describe", "no.such.Symbol")
    assert result.returncode != 0
    assert "not found" in result.stderr.lower()


def test_a_model_is_called(program: Path, server: Server) -> None:
    tensor = {"datatype": "INT32", "shape": [1, 16], "contents": {"int_contents": list(range(16))}}
    request = {"model_name": "pair", "id": "q", "inputs": [{"name": name, **tensor} for name in ("INPUT0", "INPUT1")]}
    result = run(program, server, "inference.GRPCInferenceService/ModelInfer", data=request)
    assert result.returncode == 0, result.stderr
    answer = json.loads(result.stdout)
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("pair", "1", "q")
    total = np.frombuffer(base64.b64decode(answer["raw_output_contents"][0]), np.int32)
    np.testing.assert_array_equal(total, 2 * np.arange(16))


def test_a_refusal_shows_its_code_and_words(program: Path, server: Server) -> None:
    result = run(program, server, "inference.GRPCInferenceService/ModelMetadata", data={"name": "nope"})
    assert result.returncode != 0
    assert "Code: NotFound" in result.stderr
    assert "Request for unknown model: 'nope' is not found" in result.stderr


def test_health_is_asked(program: Path, server: Server) -> None:
    result = run(program, server, "grpc.health.v1.Health/Check")
    assert json.loads(result.stdout) == {"status": "SERVING"}
