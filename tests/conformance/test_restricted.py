"""Groups of calls behind a key, over gRPC on both front ends and over HTTP."""

import http.client
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from npuserve._proto import inference_pb2 as pb
from support.served_models import add_identity_model, copy_config
from support.server import Server, serving

SERVICE = "/inference.GRPCInferenceService/"
FLAGS = (
    "--grpc-restricted-protocol=model-repository,inference:admin-key=secret",
    "--http-restricted-api=model-repository,inference:admin-key=secret",
)
INFER = b'{"inputs":[{"name":"x","shape":[2],"datatype":"FP32","data":[1,2]}]}'


@pytest.fixture(scope="module", params=["native", "grpcio"])
def server(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Server]:
    repository: Path = tmp_path_factory.mktemp("restricted")
    add_identity_model(repository, "copy", copy_config("FP32", 2))
    with serving(repository, f"--frontend={request.param}", *FLAGS) as server:
        yield server


def call(server: Server, rpc: str, message: bytes, *metadata: tuple[str, str]) -> bytes:
    with server.channel() as channel:
        answer: bytes = channel.unary_unary(SERVICE + rpc, None, None)(message, metadata=metadata, timeout=20)
        return answer


def infer_message() -> bytes:
    request = pb.ModelInferRequest(model_name="copy", raw_input_contents=[bytes(8)])
    request.inputs.add(name="x", datatype="FP32", shape=[2])
    return request.SerializeToString()


@pytest.mark.parametrize("rpc", ["ModelInfer", "RepositoryIndex"])
@pytest.mark.parametrize("metadata", [(), (("triton-grpc-protocol-admin-key", "guess"),), (("admin-key", "secret"),)])
def test_a_restricted_call_without_the_key_is_refused(
    server: Server, rpc: str, metadata: tuple[tuple[str, str], ...]
) -> None:
    message = infer_message() if rpc == "ModelInfer" else b""
    with pytest.raises(grpc.RpcError) as caught:
        call(server, rpc, message, *metadata)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert caught.value.details() == ("This protocol is restricted, expecting header 'triton-grpc-protocol-admin-key'")


def test_with_the_key_it_is_answered_and_other_calls_need_none(server: Server) -> None:
    key = ("triton-grpc-protocol-admin-key", "secret")
    assert pb.ModelInferResponse.FromString(call(server, "ModelInfer", infer_message(), key)).outputs[0].shape == [2]
    assert pb.ServerReadyResponse.FromString(call(server, "ServerReady", b"")).ready


def post(server: Server, path: str, body: bytes, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(server.http_url, timeout=20)
    try:
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@pytest.mark.parametrize(("path", "body"), [("/v2/models/copy/infer", INFER), ("/v2/repository/index", b"")])
def test_over_http_the_header_has_no_prefix(server: Server, path: str, body: bytes) -> None:
    refusal = b'{"error":"This API is restricted, expecting header \'admin-key\'"}'
    assert post(server, path, body) == (403, refusal)
    assert post(server, path, body, **{"Admin-Key": "guess"}) == (403, refusal)
    assert post(server, path, body, **{"Admin-Key": "secret"})[0] == 200


def test_a_binary_inference_needs_the_key_too(server: Server) -> None:
    head = b'{"inputs":[{"name":"x","shape":[2],"datatype":"FP32","parameters":{"binary_data_size":8}}]}'
    length = {"Inference-Header-Content-Length": str(len(head))}
    assert post(server, "/v2/models/copy/infer", head + bytes(8), **length)[0] == 403
    assert post(server, "/v2/models/copy/infer", head + bytes(8), **length, **{"Admin-Key": "secret"})[0] == 200
