"""Requests as Triton's own client makes and reads them."""

from typing import Any

import numpy as np
import pytest
from npuserve.core.dtype import Dtype
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.load.interface import Input, ModelInterface
from npuserve.migrate.load.options import LoadOptions
from npuserve.migrate.load.requests import grpc_head, prepared, read_answer
from tritonclient.grpc import service_pb2
from tritonclient.http import InferenceServerClient, InferInput

MODEL = ModelInterface(
    "m", (Input("ids", Dtype.INT64, (-1, -1)), Input("text", Dtype.BYTES, (-1, 1))), batches=True, is_decoupled=False
)
SAMPLE = {"ids": np.array([[1, 2, 3]]), "text": np.array([["é"]], object)}


def options(**changes: Any) -> LoadOptions:
    return LoadOptions(**{"url": "host:1", "model": "m", "samples": [SAMPLE], **changes})


def test_a_grpc_request_is_a_whole_message_with_raw_tensors() -> None:
    (request,) = prepared(options(version="3"), MODEL)
    assert request[0] == 0
    assert int.from_bytes(request[1:5], "big") == len(request) - 5
    message = service_pb2.ModelInferRequest.FromString(request[5:])
    assert (message.model_name, message.model_version) == ("m", "3")
    assert [(each.name, each.datatype, list(each.shape)) for each in message.inputs] == [
        ("ids", "INT64", [1, 3]),
        ("text", "BYTES", [1, 1]),
    ]
    assert message.raw_input_contents[0] == np.array([1, 2, 3], "<i8").tobytes()
    assert message.raw_input_contents[1] == b"\x02\0\0\0\xc3\xa9"


def test_an_http_request_has_the_body_that_tritons_client_makes() -> None:
    (request,) = prepared(options(protocol="http", fields=(("X-Team", "a"),)), MODEL)
    head, _, body = request.partition(b"\r\n\r\n")
    ids, text = InferInput("ids", [1, 3], "INT64"), InferInput("text", [1, 1], "BYTES")
    ids.set_data_from_numpy(SAMPLE["ids"])
    text.set_data_from_numpy(SAMPLE["text"])
    theirs, json_bytes = InferenceServerClient.generate_request_body([ids, text])
    # Only the order of the JSON's keys may differ.
    assert len(body) == len(theirs)
    assert body[json_bytes:] == theirs[json_bytes:]
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /v2/models/m/infer HTTP/1.1"
    assert f"Inference-Header-Content-Length: {json_bytes}" in lines
    assert f"Content-Length: {len(theirs)}" in lines
    assert "X-Team: a" in lines


def test_a_streams_head_names_its_method_and_fields_are_in_lower_case() -> None:
    head = dict(grpc_head(options(protocol="grpc_stream", fields=(("X-Team", "a"),))))
    assert head[":path"] == "/inference.GRPCInferenceService/ModelStreamInfer"
    assert head["x-team"] == "a"


@pytest.mark.parametrize(
    ("sample", "sentence"),
    [
        ({"ids": np.zeros((1, 2), np.int64)}, "sample 1: the input 'text' of model 'm' is missing"),
        ({**SAMPLE, "more": np.zeros(1)}, "model 'm' has no input 'more', only ids, text"),
        ({**SAMPLE, "ids": np.zeros(3, np.int64)}, r"the input 'ids' must have the shape \[-1, -1\], got \[3\]"),
        ({**SAMPLE, "text": np.full((1, 2), "a")}, r"must have the shape \[-1, 1\], got \[1, 2\]"),
        ({**SAMPLE, "ids": np.full((1, 2), 0.5)}, "is of INT64, which float64 does not become"),
    ],
)
def test_tensors_that_the_model_does_not_take_are_named(sample: Any, sentence: str) -> None:
    with pytest.raises(MigrationError, match=sentence):
        prepared(options(samples=[sample]), MODEL)


def test_answers_are_read_whatever_the_protocol() -> None:
    message = service_pb2.ModelInferResponse()
    message.outputs.add(name="y", datatype="FP32", shape=[1, 2])
    message.outputs.add(name="label", datatype="BYTES", shape=[1])
    message.raw_output_contents.extend([np.array([1, 2], "<f4").tobytes(), b"\x01\0\0\0a"])
    grpc = read_answer("grpc", message.SerializeToString())
    text = (
        b'{"outputs":[{"name":"y","datatype":"FP32","shape":[1,2],"parameters":{"binary_data_size":8}},'
        b'{"name":"label","datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":5}}]}'
    )
    http = read_answer("http", text + b"".join(message.raw_output_contents))
    for answer in (grpc, http):
        assert answer["y"].tolist() == [[1.0, 2.0]]
        assert answer["label"].tolist() == [b"a"]
