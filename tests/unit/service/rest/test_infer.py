"""Inference over HTTP: what comes in, what goes out, and every refusal, with the sentences of Triton 2.51."""

import gzip
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.rest import Rest, loaded_registry, with_binary

PAIR: dict[str, Any] = {
    "inputs": [
        {"name": "INPUT0", "shape": [1, 4], "datatype": "INT32", "data": [1, 2, 3, 4]},
        {"name": "INPUT1", "shape": [1, 4], "datatype": "INT32", "data": [[5, 6], [7, 8]]},
    ]
}
SOURCES = (
    "Input must set only one of the following fields: 'data', 'binary_data_size' in 'parameters', "
    "'shared_memory_region' in 'parameters'. But "
)


def pair(**more: object) -> dict[str, object]:
    return {**PAIR, **more}


def one(dtype: str, shape: list[int], data: object, **more: object) -> dict[str, object]:
    return {"inputs": [{"name": "IN", "shape": shape, "datatype": dtype, "data": data}], **more}


def wanting(**parameters: object) -> dict[str, object]:
    return pair(outputs=[{"name": "OUTPUT0", "parameters": parameters}])


async def test_a_json_request_gets_a_json_response_in_tritons_order_of_keys(rest: Rest) -> None:
    answer = await rest.infer("two", pair(id="x"))
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.body == (
        b'{"id":"x","model_name":"two","model_version":"1","outputs":['
        b'{"name":"OUTPUT0","datatype":"INT32","shape":[1,4],"data":[1,2,3,4]},'
        b'{"name":"OUTPUT1","datatype":"INT32","shape":[1,4],"data":[5,6,7,8]}]}'
    )


async def test_without_an_id_there_is_none_in_the_response(rest: Rest) -> None:
    assert list((await rest.infer("two", PAIR)).json) == ["model_name", "model_version", "outputs"]


async def test_response_parameters_stand_before_the_outputs(rest: Rest) -> None:
    answer = await rest.infer("two", pair(parameters={"custom": 1}))
    assert list(answer.json) == ["model_name", "model_version", "parameters", "outputs"]
    assert answer.json["parameters"] == {"kept": 1}


async def test_a_version_may_be_named(rest: Rest) -> None:
    assert (await rest.post("/v2/models/two/versions/1/infer", PAIR)).json["model_version"] == "1"
    answer = await rest.post("/v2/models/two/versions/7/infer", PAIR)
    assert (answer.status, answer.error) == (404, "Request for unknown model: 'two' version 7 is not found")


async def test_only_the_outputs_that_are_asked_for_are_answered(rest: Rest) -> None:
    outputs = (await rest.infer("two", pair(outputs=[{"name": "OUTPUT1"}]))).json["outputs"]
    assert [output["name"] for output in outputs] == ["OUTPUT1"]
    assert len((await rest.infer("two", pair(outputs=[]))).json["outputs"]) == 2


async def test_binary_inputs_follow_the_json_in_their_order(rest: Rest) -> None:
    blobs = [struct.pack("<4i", *numbers) for numbers in ((1, 2, 3, 4), (5, 6, 7, 8))]
    inputs = [
        {"name": f"INPUT{place}", "shape": [1, 4], "datatype": "INT32", "parameters": {"binary_data_size": 16}}
        for place in range(2)
    ]
    body, header = with_binary({"inputs": inputs}, *blobs)
    answer = await rest.infer("two", body, **header)
    assert [output["data"] for output in answer.json["outputs"]] == [[1, 2, 3, 4], [5, 6, 7, 8]]


async def test_binary_and_json_outputs_may_be_mixed(rest: Rest) -> None:
    answer = await rest.infer(
        "two", pair(outputs=[{"name": "OUTPUT1", "parameters": {"binary_data": True}}, {"name": "OUTPUT0"}])
    )
    size = int(answer.headers["inference-header-content-length"])
    assert answer.headers["content-type"] == "application/octet-stream"
    outputs = json.loads(answer.body[:size])["outputs"]
    assert outputs[0] == {"name": "OUTPUT0", "datatype": "INT32", "shape": [1, 4], "data": [1, 2, 3, 4]}
    assert outputs[1] == {
        "name": "OUTPUT1",
        "datatype": "INT32",
        "shape": [1, 4],
        "parameters": {"binary_data_size": 16},
    }
    assert answer.body[size:] == struct.pack("<4i", 5, 6, 7, 8)


async def test_binary_data_output_counts_where_no_outputs_are_named(rest: Rest) -> None:
    answer = await rest.infer("two", pair(parameters={"binary_data_output": True}))
    assert len(answer.body) - int(answer.headers["inference-header-content-length"]) == 32
    named = await rest.infer("two", pair(parameters={"binary_data_output": True}, outputs=[{"name": "OUTPUT0"}]))
    assert named.headers["content-type"] == "application/json"


async def test_classification_answers_strings(rest: Rest) -> None:
    answer = await rest.infer("two", wanting(classification=2))
    assert answer.json["outputs"] == [{"name": "OUTPUT0", "datatype": "BYTES", "shape": [1, 2], "data": ["4:3", "3:2"]}]
    assert (await rest.infer("two", wanting(classification=0))).json["outputs"][0]["data"] == [1, 2, 3, 4]


# Inputs and outputs as the real Triton prints them (but for its parser's last digit).
NUMBERS = [
    ("FP32", "[1,1e10,0.1,1e-7,3.4e38,123456789,1e22,1e21,-0.0,16777217,1.5]",
     "[1.0,10000000000.0,0.10000000149011612,1.0000000116860974e-7,3.3999999521443642e38,123456792.0,"
     "9.999999778196308e21,1.0000000200408773e21,-0.0,16777216.0,1.5]"),
    ("FP64", "[1e308,1e22,1e21,1e15,1e16,1e17,12345678901234567890,5e-324,1e-5,0.001,0.000001,1e20,1.5e-6]",
     "[1e308,1e22,1e21,1000000000000000.0,10000000000000000.0,100000000000000000.0,12345678901234567000.0,5e-324,"
     "0.00001,0.001,0.000001,100000000000000000000.0,0.0000015]"),
    ("FP32", "[NaN,Infinity,-Infinity,1e39]", "[NaN,Infinity,-Infinity,Infinity]"),
    ("INT32", "[3000000000,-3000000000]", "[-1294967296,1294967296]"),
    ("INT64", "[9223372036854775807,-9223372036854775808]", "[9223372036854775807,-9223372036854775808]"),
    ("UINT8", "[300,255]", "[44,255]"),
    ("UINT64", "[18446744073709551615]", "[18446744073709551615]"),
    ("BOOL", "[true,false]", "[true,false]"),
    ("INT32", "[[],[1,[2]],3]", "[1,2,3]"),
    ("BYTES", r'["a\u00e9","\u0000","\ud83d\ude00","b/\"\n\u0001"]', '["aé","\\u0000","😀","b/\\"\\n\\u0001"]'),
]  # fmt: skip


@pytest.mark.parametrize(("dtype", "given", "printed"), NUMBERS)
async def test_elements_come_back_in_tritons_format(rest: Rest, dtype: str, given: str, printed: str) -> None:
    count = len(json.loads(printed))
    body = f'{{"inputs":[{{"name":"IN","shape":[1,{count}],"datatype":"{dtype}","data":{given}}}]}}'
    answer = await rest.infer(f"id_{'STRING' if dtype == 'BYTES' else dtype}", body)
    assert answer.status == 200, answer.body
    assert answer.body.decode().partition('"data":')[2] == printed + "}]}"


async def test_bytes_that_are_not_utf8_pass_through(rest: Rest) -> None:
    answer = await rest.infer(
        "id_STRING", b'{"inputs":[{"name":"IN","shape":[1,1],"datatype":"BYTES","data":["\xff\xfe"]}]}'
    )
    assert answer.body.endswith(b'"data":["\xff\xfe"]}]}')


async def test_an_empty_tensor_passes(rest: Rest) -> None:
    assert (await rest.infer("id_INT32", one("INT32", [1, 0], []))).json["outputs"][0]["data"] == []


INTEGER = "Unable to parse 'data': attempt to access JSON non-signed-integer as signed-integer"
UNSIGNED = "attempt to access JSON non-unsigned-integer as unsigned-integer"
COUNT = "Unable to parse 'data': Shape does not match true shape of 'data' field"
BAD_DATA = [
    ("INT32", [1, 1], [1.0], 500, INTEGER),
    ("INT32", [1, 1], ["1"], 500, INTEGER),
    ("INT32", [1, 1], [True], 500, INTEGER),
    ("INT32", [1, 1], [None], 500, INTEGER),
    ("INT64", [1, 1], [2**63], 500, INTEGER),
    ("INT32", [1, 1], [10**30], 500, INTEGER),
    ("UINT8", [1, 1], [-1], 500, f"Unable to parse 'data': {UNSIGNED}"),
    ("FP32", [1, 1], ["a"], 500, "Unable to parse 'data': attempt to access JSON non-number as double"),
    ("FP32", [1, 1], [True], 500, "Unable to parse 'data': attempt to access JSON non-number as double"),
    ("BOOL", [1, 1], [1], 500, "Unable to parse 'data': attempt to access JSON non-boolean as boolean"),
    ("INT32", [1, 3], [1, 2], 500, COUNT),
    ("INT32", [1, 2], [1, 2, 3], 500, COUNT),
    ("INT32", [1, 1], 5, 500, "Unable to parse 'data': attempt to access JSON non-array as array"),
    ("INT32", [1, 1], {}, 500, "Unable to parse 'data': attempt to access JSON non-array as array"),
    ("INT32", [1, -1], [1], 500, f"Unable to parse 'shape': {UNSIGNED}"),
    ("INT32", [1, 1.5], [1], 500, f"Unable to parse 'shape': {UNSIGNED}"),
    ("BYTES", [1, 1], [1], 500, "Unable to parse JSON bytes array: attempt to access JSON non-string as string"),
    ("BYTES", [1, 2], ["a"], 400,
     "[request id: <id_unknown>] expected 2 string elements for inference input 'IN' for model 'id_STRING', got 1"),
    ("FP16", [1, 1], [1], 400,
     "receiving FP16 data via JSON is not supported. Please use the binary data format for input IN"),
    ("BF16", [1, 1], [1], 400,
     "receiving BF16 data via JSON is not supported. Please use the binary data format for input IN"),
    ("FOO", [1, 1], [1], 400, "invalid datatype for input IN"),
]  # fmt: skip


@pytest.mark.parametrize(("dtype", "shape", "data", "status", "message"), BAD_DATA)
async def test_bad_data_is_refused(
    rest: Rest, dtype: str, shape: list[int], data: object, status: int, message: str
) -> None:
    model = {"BYTES": "id_STRING", "FOO": "id_FP32"}.get(dtype, f"id_{dtype}")
    answer = await rest.infer(model, one(dtype, shape, data))
    assert (answer.status, answer.error) == (status, message)


GIVEN = {"name": "IN", "datatype": "FP32", "shape": [1, 1]}
PARSE = "failed to parse the request JSON buffer: "
BAD_DOCUMENTS = [
    ("{", 500, f"{PARSE}Missing a name for object member. at 1"),
    ("nul", 500, f"{PARSE}Invalid value. at 3"),
    ('{"a":tru}', 500, f"{PARSE}Invalid value. at 8"),
    (r'{"a":"\x"}', 500, f"{PARSE}Invalid escape character in string. at 6"),
    (r'{"a":"\ud800"}', 500, f"{PARSE}The surrogate pair in string is invalid. at 6"),
    ('{"a":"b', 500, f"{PARSE}Missing a closing quotation mark in string. at 7"),
    ("{a:1}", 500, f"{PARSE}Missing a name for object member. at 1"),
    ('{"a":1.}', 500, f"{PARSE}Miss fraction part in number. at 7"),
    ('{"a":1e}', 500, f"{PARSE}Miss exponent in number. at 7"),
    ('{"a":01}', 500, f"{PARSE}Missing a comma or '}}' after an object member. at 6"),
    ('{"a" 1}', 500, f"{PARSE}Missing a colon after a name of object member. at 5"),
    ("[1 2]", 500, f"{PARSE}Missing a comma or ']' after an array element. at 3"),
    ('{"a":1} x', 500, f"{PARSE}The document root must not be followed by other values. at 8"),
    ('{"a":"\x01"}', 500, f"{PARSE}Invalid escape character in string. at 6"),
    ('{"é":[1 2]}', 500, f"{PARSE}Missing a comma or ']' after an array element. at 9"),
    ("9" * 5000, 500, f"{PARSE}Number too big to be stored in double. at 0"),
    ("[" * 101 + "]" * 101, 400, "JSON nesting depth exceeds maximum allowed limit (100)"),
    ("[" * 100_000, 400, "JSON nesting depth exceeds maximum allowed limit (100)"),
    ("[]", 500, "Unable to parse 'inputs': attempt to access non-existing object member 'inputs'"),
    ("{}", 500, "Unable to parse 'inputs': attempt to access non-existing object member 'inputs'"),
    ({"inputs": 1}, 500, "Unable to parse 'inputs': attempt to access JSON non-array as array"),
    ({"inputs": [1]}, 400, SOURCES + "no field is set"),
    ({"inputs": [GIVEN]}, 400, SOURCES + "no field is set"),
    ({"inputs": [GIVEN | {"data": [1], "parameters": {"shared_memory_region": "x"}}]}, 400,
     SOURCES + "set 'data' 'shared_memory_region'"),
    ({"inputs": [{"data": [1]}]}, 500, "Unable to parse 'name': attempt to access non-existing object member 'name'"),
    ({"inputs": [GIVEN | {"parameters": {"binary_data_size": "4"}}]}, 500,
     f"Unable to parse 'binary_data_size': {UNSIGNED}"),
    ({"inputs": [GIVEN | {"parameters": {"shared_memory_region": 1}}]}, 500,
     "Unable to parse 'shared_memory_region': attempt to access JSON non-string as string"),
    ({"inputs": [GIVEN | {"parameters": {"shared_memory_region": "x", "shared_memory_byte_size": 4}}]}, 404,
     "Unable to find shared memory region: 'x'"),
    ({"inputs": [GIVEN | {"data": [1]}] * 2}, 400, "[request id: <id_unknown>] input 'IN' already exists in request"),
    ({"inputs": []}, 400,
     "[request id: <id_unknown>] expected 1 inputs but got 0 inputs for model 'id_FP32'. Got input(s) [], but missing "
     "required input(s) ['IN']. Please provide all required input(s)."),
]  # fmt: skip


@pytest.mark.parametrize(("body", "status", "message"), BAD_DOCUMENTS)
async def test_a_bad_document_is_refused(rest: Rest, body: str | object, status: int, message: str) -> None:
    answer = await rest.infer("id_FP32", body)
    assert (answer.status, answer.error) == (status, message)


async def test_a_depth_of_a_hundred_is_read(rest: Rest) -> None:
    deep: object = 1.5
    for _ in range(97):  # besides the document, its inputs and the input
        deep = [deep]
    assert (await rest.infer("id_FP32", one("FP32", [1, 1], deep))).json["outputs"][0]["data"] == [1.5]


PARAMETER = "It should be either 'int', 'bool', or 'string'."
BAD_REQUESTS = [
    (pair(id=1), 500, "Unable to parse 'id': attempt to access JSON non-string as string"),
    (pair(outputs={}), 500, "Unable to parse 'outputs': attempt to access JSON non-array as array"),
    (pair(outputs=[{}]), 500, "Unable to parse 'name': attempt to access non-existing object member 'name'"),
    (pair(outputs=[{"name": "NOPE"}]), 400, "unexpected inference output 'NOPE' for model 'two'"),
    (pair(id="i", outputs=[{"name": "OUTPUT0"}] * 2), 400,
     "[request id: i] output 'OUTPUT0' already exists in request"),
    (wanting(classification="x"), 500, f"Unable to set 'classification': {UNSIGNED}"),
    (wanting(classification=-1), 500, f"Unable to set 'classification': {UNSIGNED}"),
    (wanting(binary_data=1), 500, "Unable to parse 'binary_data': attempt to access JSON non-boolean as boolean"),
    (wanting(shared_memory_region="x"), 404, "Unable to find shared memory region: 'x'"),
    (wanting(shared_memory_region="x", binary_data=True), 400,
     "Output can't set both 'shared_memory_region' and 'binary_data'"),
    (wanting(shared_memory_region="x", classification=1), 400,
     "Output can't set both 'shared_memory_region' and 'classification'"),
    (pair(parameters=[]), 500, "failed to get request params.: attempt to get members for non-object"),
    (pair(parameters={"priority": -1}), 500, f"Unable to parse 'priority': {UNSIGNED}"),
    (pair(parameters={"timeout": 1.5}), 500, f"Unable to parse 'timeout': {UNSIGNED}"),
    (pair(parameters={"sequence_id": True}), 500,
     "Unable to parse 'sequence_id': attempt to access JSON non-string as string"),
    (pair(parameters={"sequence_start": 1}), 500,
     "Unable to parse 'sequence_start': attempt to access JSON non-boolean as boolean"),
    (pair(parameters={"triton_x": 1}), 400,
     "parameter keys starting with 'triton_' are reserved for Triton usage and should not be specified."),
    (pair(parameters={"x": []}), 400, f"parameter 'x' has invalid type. {PARAMETER}"),
    (pair(parameters={"y": None}), 400, f"parameter 'y' has invalid type. {PARAMETER}"),
    (pair(parameters={"binary_data_output": 1}), 500,
     "Unable to parse 'binary_data_output': attempt to access JSON non-boolean as boolean"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "status", "message"), BAD_REQUESTS)
async def test_a_bad_request_is_refused_and_the_next_answered(
    rest: Rest, body: object, status: int, message: str
) -> None:
    answer = await rest.infer("two", body)
    assert (answer.status, answer.error) == (status, message)
    assert (await rest.infer("two", PAIR)).status == 200


BINARY = {"inputs": [GIVEN | {"shape": [1, 3], "parameters": {"binary_data_size": 12}}]}
BAD_BINARY = [
    (b"x" * 11, 0, "unexpected size for input 'IN', expecting 1 additional bytes for model 'id_FP32'"),
    (b"x" * 13, 0, "unexpected additional input data for model 'id_FP32'"),
    (b"x" * 12, 1000, "inference header size should be in range (0, {body}), got: {header}"),
]


@pytest.mark.parametrize(("blob", "beyond", "message"), BAD_BINARY)
async def test_binary_data_of_another_size_is_refused(rest: Rest, blob: bytes, beyond: int, message: str) -> None:
    body, header = with_binary(BINARY, blob)
    size = int(header["inference_header_content_length"]) + beyond
    answer = await rest.infer("id_FP32", body, inference_header_content_length=str(size))
    assert (answer.status, answer.error) == (400, message.format(body=len(body), header=size))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-5", "inference header size should be in range (0, 1), got: -5"),
        ("abc", "Unable to parse Inference-Header-Content-Length, got: abc"),
    ],
)
async def test_a_header_length_that_is_none_is_refused(rest: Rest, text: str, message: str) -> None:
    answer = await rest.infer("id_FP32", b"x", inference_header_content_length=text)
    assert (answer.status, answer.error) == (400, message)


async def test_halves_go_in_and_out_as_binary_only(rest: Rest) -> None:
    given = {"name": "IN", "shape": [1, 1], "datatype": "FP16", "parameters": {"binary_data_size": 2}}
    body, header = with_binary({"inputs": [given]}, b"\0\x3c")
    answer = await rest.infer("id_FP16", body, **header)
    assert answer.status == 400
    assert answer.error == "sending FP16 data via JSON is not supported. Please use the binary data format for output"
    body, header = with_binary({"inputs": [given], "parameters": {"binary_data_output": True}}, b"\0\x3c")
    assert (await rest.infer("id_FP16", body, **header)).body.endswith(b"\0\x3c")


async def test_a_raw_request_is_the_one_inputs_data(rest: Rest) -> None:
    content = struct.pack("<3f", 1, 2, 3)
    answer = await rest.infer("id_FP32", content, inference_header_content_length="0")
    size = int(answer.headers["inference-header-content-length"])
    assert json.loads(answer.body[:size])["outputs"][0]["shape"] == [1, 3]
    assert answer.body[size:] == content


async def test_a_raw_request_of_text_is_one_element(rest: Rest) -> None:
    answer = await rest.infer("text", b"hello", inference_header_content_length="0")
    assert answer.body.endswith(struct.pack("<I", 5) + b"hello")


async def test_an_empty_body_is_an_empty_raw_request(rest: Rest) -> None:
    answer = await rest.infer("id_FP32")
    assert answer.json["outputs"][0] == {
        "name": "OUT", "datatype": "FP32", "shape": [1, 0], "parameters": {"binary_data_size": 0}
    }  # fmt: skip


@pytest.mark.parametrize(
    ("model", "size", "message"),
    [
        ("two", 12, "Raw request must only have 1 input (found 1) to be deduced but got 2 inputs in 'two' model "
         "configuration"),
        ("id_STRING", 12, "For BYTE datatype raw input 'IN', the model must have input shape [1]"),
        ("id_FP32", 13, "input byte size mismatch for input 'raw_input' for model 'id_FP32'. Expected 12, got 13"),
    ],
)  # fmt: skip
async def test_a_raw_request_that_cannot_be_deduced_is_refused(rest: Rest, model: str, size: int, message: str) -> None:
    answer = await rest.infer(model, b"x" * size, inference_header_content_length="0")
    assert (answer.status, answer.error) == (400, f"[request id: <id_unknown>] {message}")


PACK: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress, "identity": bytes}


@pytest.mark.parametrize("encoding", PACK)
async def test_a_compressed_request_is_unpacked(rest: Rest, encoding: str) -> None:
    answer = await rest.infer("two", PACK[encoding](json.dumps(PAIR).encode()), content_encoding=encoding)
    assert answer.status == 200, answer.body


@pytest.mark.parametrize("spoil", [lambda body: body[:-9], lambda body: b"plain" + body])
async def test_a_damaged_compressed_request_is_refused(rest: Rest, spoil: Any) -> None:
    answer = await rest.infer("two", spoil(gzip.compress(json.dumps(PAIR).encode())), content_encoding="gzip")
    assert (answer.status, answer.error) == (400, "the request body is not valid gzip data")


async def test_an_unknown_encoding_is_refused_with_those_that_are_known(rest: Rest) -> None:
    answer = await rest.infer("two", PAIR, content_encoding="br")
    assert (answer.status, answer.error) == (501, "Unsupported compression type")
    assert answer.headers["accept-encoding"] == "gzip, deflate"


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip", "gzip"),
        ("gzip, deflate", "gzip"),
        ("deflate, gzip", "deflate"),
        ("gzip;q=0.5, deflate;q=0.6", "deflate"),
        ("br, gzip", "gzip"),
        ("*", None),
        ("identity", None),
        ("gzip;q=0", None),
        ("gzip;q=nonsense", None),
        ("identity;q=0.9, gzip;q=0.1", None),
    ],
)
async def test_the_response_is_compressed_as_the_client_likes(rest: Rest, accepted: str, encoding: str | None) -> None:
    plain = await rest.infer("two", pair(parameters={"binary_data_output": True}))
    packed = await rest.infer("two", pair(parameters={"binary_data_output": True}), accept_encoding=accepted)
    assert packed.headers.get("content-encoding") == encoding
    unpack: dict[str | None, Callable[[bytes], bytes]] = {
        "gzip": gzip.decompress,
        "deflate": zlib.decompress,
        None: bytes,
    }
    assert unpack[encoding](packed.body) == plain.body
    assert packed.headers["inference-header-content-length"] == plain.headers["inference-header-content-length"]


async def test_large_bodies_are_read_and_written_beside_the_loop_with_the_same_result(rest: Rest) -> None:
    numbers = list(range(120_000))
    answer = await rest.infer("id_INT32", gzip.compress(json.dumps(one("INT32", [1, 120_000], numbers)).encode()),
                              content_encoding="gzip", accept_encoding="gzip")  # fmt: skip
    assert json.loads(gzip.decompress(answer.body))["outputs"][0]["data"] == numbers


async def test_what_is_too_large_is_refused(repository: Path) -> None:
    async with loaded_registry(repository) as registry:
        small = Rest(registry, max_input_bytes=100)
        size = len(json.dumps(PAIR))
        answer = await small.infer("two", PAIR)
        assert (answer.status, answer.error) == (
            400,
            f"request JSON size of {size} bytes exceeds the maximum allowed input size of 100 bytes. Use "
            "--http-max-input-size to increase the limit.",
        )
        answer = await small.infer("two", gzip.compress(json.dumps(PAIR).encode()), content_encoding="gzip")
        assert answer.status == 400
        assert "exceeds the maximum allowed input size of 100 bytes" in answer.error
        raw = await small.infer("id_FP32", b"x" * 104, inference_header_content_length="0")
        assert raw.status == 400
        body, header = with_binary({"inputs": [{"name": "IN", "datatype": "FP32", "shape": [1, 50],
                                                "parameters": {"binary_data_size": 200}}]}, b"\0" * 200)  # fmt: skip
        wide = Rest(registry, max_input_bytes=150)
        assert (await wide.infer("id_FP32", body, **header)).status == 200


async def test_an_unknown_model_is_refused_before_the_body_is_read(rest: Rest) -> None:
    answer = await rest.infer("nope", "{")
    assert (answer.status, answer.error) == (404, "Request for unknown model: 'nope' is not found")


async def test_a_decoupled_model_is_refused(rest: Rest) -> None:
    answer = await rest.infer("gen", {"inputs": []})
    assert answer.status == 501
    assert answer.error == "HTTP end point doesn't support models with decoupled transaction policy"


async def test_forwarded_headers_become_parameters_and_reserved_ones_are_refused(repository: Path) -> None:
    async with loaded_registry(repository) as registry:
        rest = Rest(registry, forward="^(my-|priority)")
        await rest.infer("two", pair(parameters={"x": 1}), my_header="v", other="w")
        (request,) = registry.lookup("two").executor.requests  # type: ignore[attr-defined]  # a CopyExecutor
        assert request.parameters == {"my-header": "v", "x": 1}
        answer = await rest.infer("two", PAIR, priority="1")
        assert answer.error == "Header 'priority' is reserved for Triton usage and cannot be forwarded."
