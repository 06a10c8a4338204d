"""Requests that end the process of Triton 2.51, or read what is not theirs: here each gets a clean answer.

A bystander on a connection of its own is answered before and after each, so that an ended process is seen.
"""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from support.golden_calls import Answer, Asked, Call, Http, Stream, Tensor, Unary, floats, infer, infer_request, text
from support.golden_calls import Target as CalledServer
from support.golden_http import LENGTH, post
from support.golden_models import REPEAT, copying, write_repository
from support.golden_streams import STRICT
from support.server import serving
from tritonclient.grpc import service_pb2 as pb

FOUR = floats("INPUT0", (1, 4), 1, 4, 3, 2)
JSON_FOUR: dict[str, Any] = {"name": "INPUT0", "shape": [1, 4], "datatype": "FP32", "data": [1, 4, 3, 2]}
HEADER = json.dumps(
    {"inputs": [{"name": "INPUT0", "shape": [1, 4], "datatype": "FP32", "parameters": {"binary_data_size": 16}}]}
).encode()
MODELS = (
    copying("copy", "FP32", "[ 4 ]"),
    copying("variable", "FP32", "[ -1 ]", "max_batch_size: 0", source="copying"),
    copying("text", "STRING", "[ 2 ]", source="copying"),
    copying("half", "FP16", "[ 2 ]"),
    REPEAT,
)
NO_CLASSES = "class result not available for output due to unsupported type '{}'"
TOO_DEEP = "JSON nesting depth exceeds maximum allowed limit (100)"


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    repository = tmp_path_factory.mktemp("fatal") / "models"
    write_repository(repository, MODELS, "npuserve")
    flags = ("--model-control-mode=explicit", "--load-model=*")
    with serving(repository, *flags) as server, server.channel() as channel:
        http, metrics = (int(url.rpartition(":")[2]) for url in (server.http_url, server.metrics_url))
        yield Asked(CalledServer(server.url, http, metrics, repository), channel)
        assert server.process.poll() is None
        assert not [line for line in server.lines if line.startswith("E") and "load" not in line]


def answer_among_others(asked: Asked, call: Call) -> Answer:
    """Make a call between two that must be answered."""
    _assert_serves(asked)
    answer = call.answer(asked)
    _assert_serves(asked)
    return answer


def _assert_serves(asked: Asked) -> None:
    assert infer("copy", FOUR).answer(asked)["response"]["raw_output_contents"] == [[1, 4, 3, 2]]
    assert post("copy", {"inputs": [JSON_FOUR]}).answer(asked)["body"]["outputs"][0]["data"] == [1, 4, 3, 2]


@pytest.mark.parametrize(
    ("length", "message"),
    [
        ("x", "Unable to parse Inference-Header-Content-Length, got: x"),
        ("", "Unable to parse Inference-Header-Content-Length, got: "),
        ("9" * 30, f"inference header size should be in range (0, {len(HEADER) + 16}), got: {'9' * 30}"),
    ],
)
def test_a_header_length_that_is_none_is_refused(asked: Asked, length: str, message: str) -> None:
    answer = answer_among_others(asked, post("copy", HEADER + bytes(16), {LENGTH: length}))
    assert (answer["status"], answer["body"]["error"]) == (400, message)


@pytest.mark.parametrize("body", [b"[" * 200_000, b'{"inputs":' * 50_000, b'{"id":' + b"[" * 101 + b"]" * 101 + b"}"])
@pytest.mark.parametrize(
    "path", ["v2/models/copy/infer", "v2/models/text/generate", "v2/logging", "v2/repository/index"]
)
def test_json_that_is_nested_deeply_is_refused(asked: Asked, path: str, body: bytes) -> None:
    answer = answer_among_others(asked, Http(method="POST", path=f"/{path}", body=body))
    assert (answer["status"], answer["body"]["error"]) == (400, TOO_DEEP)


@pytest.mark.parametrize("shape", [(2**62,), (2**63 - 1,), (2**32, 2**32)])
def test_a_shape_of_more_bytes_than_a_number_holds_is_refused(asked: Asked, shape: tuple[int, ...]) -> None:
    model = "variable" if len(shape) == 1 else "copy"
    for datatype, name in (("FP32", model), ("BYTES", "text")):
        tensor = Tensor(datatype=datatype, shape=shape, raw=bytes(4))
        assert answer_among_others(asked, infer(name, tensor))["code"] == "INVALID_ARGUMENT"
        described = {"name": "INPUT0", "shape": list(shape), "datatype": datatype, "data": [0]}
        assert answer_among_others(asked, post(name, {"inputs": [described]}))["status"] in (400, 500)


@pytest.mark.parametrize("count", [5, 1_000_000, 2**31, 2**62])
def test_more_classes_than_values_are_all_of_them(asked: Asked, count: int) -> None:
    expected = ["4.000000:1", "3.000000:2", "2.000000:3", "1.000000:0"]
    parameters = {"classification": count}
    over_grpc = answer_among_others(asked, infer("copy", FOUR, outputs=[("OUTPUT0", parameters)]))
    assert over_grpc["response"]["raw_output_contents"] == [expected]
    output = {"name": "OUTPUT0", "parameters": parameters}
    over_http = answer_among_others(asked, post("copy", {"inputs": [JSON_FOUR], "outputs": [output]}))
    assert over_http["body"]["outputs"][0]["data"] == expected


@pytest.mark.parametrize(
    ("model", "tensor"),
    [("text", text("a", "b", shape=(1, 2))), ("half", Tensor(datatype="FP16", shape=(1, 2), raw=bytes(4)))],
)
def test_classes_of_what_has_no_order_are_refused(asked: Asked, model: str, tensor: Tensor) -> None:
    message = NO_CLASSES.format(tensor.datatype)
    over_grpc = answer_among_others(asked, infer(model, tensor, outputs=[("OUTPUT0", {"classification": 1})]))
    assert over_grpc == {"code": "INVALID_ARGUMENT", "details": message}
    assert tensor.raw is not None
    head = {
        "inputs": [
            {
                "name": "INPUT0",
                "shape": list(tensor.shape),
                "datatype": tensor.datatype,
                "parameters": {"binary_data_size": len(tensor.raw)},
            }
        ],
        "outputs": [{"name": "OUTPUT0", "parameters": {"classification": 1}}],
    }
    encoded = json.dumps(head).encode()
    over_http = answer_among_others(asked, post(model, encoded + tensor.raw, {LENGTH: str(len(encoded))}))
    assert (over_http["status"], over_http["body"]["error"]) == (400, message)


def test_an_error_of_a_decoupled_model_ends_a_strict_stream(asked: Asked) -> None:
    below_zero = Tensor(datatype="INT32", shape=(1,), raw=(-1).to_bytes(4, "little", signed=True))
    answer = answer_among_others(asked, Stream(requests=(infer_request("repeat", below_zero),), metadata=STRICT))
    assert answer["code"] not in ("OK", "UNAVAILABLE", "CANCELLED", "DEADLINE_EXCEEDED")
    assert "below zero" in answer["details"]


def test_a_load_with_a_file_of_megabytes_is_taken_or_refused_for_what_is_wrong(asked: Asked) -> None:
    config = json.dumps({"backend": "nonesuch", "max_batch_size": 1})
    content = bytes(8_000_000)
    parameters = {"config": config, "file:1/model.bin": base64.b64encode(content).decode()}
    path = "/v2/repository/models/brought/load"
    over_http = answer_among_others(asked, Http(method="POST", path=path, body={"parameters": parameters}))
    assert over_http["status"] == 400
    assert "unable to find backend library for backend 'nonesuch'" in over_http["body"]["error"]

    request = pb.RepositoryModelLoadRequest(model_name="brought")
    request.parameters["config"].string_param = config
    request.parameters["file:1/model.bin"].bytes_param = content
    over_grpc = answer_among_others(asked, Unary(method="RepositoryModelLoad", request=request))
    assert (over_grpc["code"], over_grpc["details"]) == ("INVALID_ARGUMENT", over_http["body"]["error"])
