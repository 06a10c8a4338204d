"""Inference over HTTP: JSON, binary tensors, raw bodies, compression, generate, and what is refused."""

import gzip
import json
import zlib
from typing import Any

from support.golden_calls import Http, NamedCalls, strings, values

LENGTH = "Inference-Header-Content-Length"
FLOATS = {"name": "INPUT0", "shape": [1, 3], "datatype": "FP32", "data": [1.5, -2, 3]}


def post(model: str, body: Any, headers: dict[str, str] | None = None, version: str = "") -> Http:
    """An infer call."""
    path = f"/v2/models/{model}" + (f"/versions/{version}" if version else "") + "/infer"
    return Http(method="POST", path=path, body=body, headers=headers)


def _input(datatype: str, shape: list[int], data: Any, name: str = "INPUT0", **more: Any) -> dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": datatype, "data": data, **more}


def _binary(model: str, header: dict[str, Any], *tensors: bytes, length: Any = None) -> Http:
    head = json.dumps(header).encode()
    headers = {LENGTH: str(len(head) if length is None else length), "Content-Type": "application/octet-stream"}
    return post(model, head + b"".join(tensors), headers)


def http() -> NamedCalls:
    yield from _json()
    yield from _binary_calls()
    yield from _raw()
    yield from _compressed()
    yield from _generate()


def _json() -> NamedCalls:
    numbers: dict[str, list[Any]] = {
        **{"BOOL": [True, False, True], "INT8": [1, -2, 3], "INT16": [1, -2, 3], "INT64": [1, -2, 2**53 + 1]},
        **{"UINT8": [1, 2, 255], "UINT16": [1, 2, 3], "UINT32": [1, 2, 2**32 - 1], "UINT64": [1, 2, 2**64 - 1]},
        **{"FP32": [1.5, -0.1, 1e10], "FP64": [1.5, 0.1, 1e300], "INT32": list(range(16))},
    }
    for dtype, data in numbers.items():
        yield f"JSON {dtype}", post(f"copy_{dtype}", {"inputs": [_input(dtype, [1, len(data)], data)], "id": dtype})
    yield "JSON text", post("copy_STRING", {"inputs": [_input("BYTES", [1, 3], ["a", "", '模 "型"'])]})
    yield "nested data", post("copy_FP32", {"inputs": [_input("FP32", [2, 3], [[1, 2, 3], [4, 5, 6]])]})
    yield "whole numbers for FP32", post("copy_FP32", {"inputs": [_input("FP32", [1, 3], [1, 2, 3])]})
    yield "no id", post("copy_FP32", {"inputs": [FLOATS]})
    body = json.dumps({"id": "first", "inputs": [FLOATS]})
    yield "id twice", post("copy_FP32", body.replace("{", '{"id": "zeroth", ', 1).encode())
    for bits, number in ((32, "1e39"), (64, "1e999")):
        yield f"a number beyond FP{bits}", post("copy_FP32", body.replace("-2", number).encode())
    yield "empty id", post("copy_FP32", {"inputs": [FLOATS], "id": ""})
    yield "id that needs escaping", post("copy_FP32", {"inputs": [FLOATS], "id": 'a"b\\c\n'})
    yield "version", post("copy_FP32", {"inputs": [FLOATS]}, version="1")
    yield "version with a zero", post("copy_FP32", {"inputs": [FLOATS]}, version="01")
    yield (
        "content type of a form",
        post("copy_FP32", {"inputs": [FLOATS]}, {"Content-Type": "application/x-www-form-urlencoded"}),
    )
    pair = [_input("INT32", [1, 16], list(range(16)), f"INPUT{index}") for index in range(2)]
    yield "two inputs", post("simple", {"inputs": pair})
    yield "one output of two", post("simple", {"inputs": pair, "outputs": [{"name": "OUTPUT1"}]})
    yield "no elements", post("variable", {"inputs": [_input("FP32", [1, 0], [])]})
    yield "reshape", post("reshaped", {"inputs": [_input("FP32", [2, 1], [1, 2])]})
    four = _input("FP32", [2, 4], [1, 5, -3, 2.5, 0.125, 0, 1e6, -1])
    for parameters in ({"classification": 2}, {"classification": 2, "binary_data": True}, {"classification": 0}):
        asked = [{"name": "OUTPUT0", "parameters": parameters}]
        yield f"classes {parameters}", post("labelled", {"inputs": [four], "outputs": asked})
    told = [_input("BYTES", [1, 1], ["parameters"])]
    yield (
        "parameters in the model",
        post("actor", {"inputs": told, "parameters": {"a": 1, "b": "x", "c": True, "d": 1.5}}),
    )
    yield "priority and timeout", post("copy_FP32", {"inputs": [FLOATS], "parameters": {"priority": 1, "timeout": 5}})
    yield (
        "ensemble",
        post(
            "ensemble",
            {"inputs": [_input("INT32", [1, 16], list(range(16)), name) for name in ("LEFT", "RIGHT")]},
        ),
    )
    for parameters in ({"sequence_start": True, "sequence_id": 500}, {"sequence_end": True, "sequence_id": 500}):
        step = [_input("INT32", [1, 1], [5])]
        yield f"sequence {parameters}", post("accumulate", {"inputs": step, "parameters": parameters})


def _binary_calls() -> NamedCalls:
    described = {"name": "INPUT0", "shape": [1, 3], "datatype": "FP32", "parameters": {"binary_data_size": 12}}
    numbers = values("<f4", 1, 2, 3)
    headers: dict[str, dict[str, Any]] = {
        "binary in, JSON out": {"inputs": [described]},
        "binary in and out": {"inputs": [described], "parameters": {"binary_data_output": True}, "id": "b"},
        "binary by output": {
            "inputs": [described],
            "outputs": [{"name": "OUTPUT0", "parameters": {"binary_data": True}}],
        },
        "JSON by output": {
            **{"inputs": [described], "parameters": {"binary_data_output": True}},
            "outputs": [{"name": "OUTPUT0", "parameters": {"binary_data": False}}],
        },
    }
    for name, header in headers.items():
        yield name, _binary("copy_FP32", header, numbers)
    yield "JSON in, binary out", post("copy_FP32", {"inputs": [FLOATS], "parameters": {"binary_data_output": True}})
    half = {"name": "INPUT0", "shape": [1, 3], "datatype": "FP16", "parameters": {"binary_data_size": 6}}
    yield (
        "binary FP16",
        _binary("copy_FP16", {"inputs": [half], "parameters": {"binary_data_output": True}}, values("<f2", 1, 2, 3)),
    )
    yield "FP16 out as JSON", _binary("copy_FP16", {"inputs": [half]}, values("<f2", 1, 2, 3))
    bf16 = {**half, "datatype": "BF16"}
    yield "BF16 out as JSON", _binary("copy_BF16", {"inputs": [bf16]}, bytes(6))
    raw = strings("a", "bc", "")
    words = {"name": "INPUT0", "shape": [1, 3], "datatype": "BYTES", "parameters": {"binary_data_size": len(raw)}}
    yield "binary text, JSON out", _binary("copy_STRING", {"inputs": [words]}, raw)
    yield (
        "binary text in and out",
        _binary("copy_STRING", {"inputs": [words], "parameters": {"binary_data_output": True}}, raw),
    )
    first = {"name": "INPUT0", "shape": [1, 16], "datatype": "INT32", "parameters": {"binary_data_size": 64}}
    mixed = {"inputs": [first, _input("INT32", [1, 16], list(range(16)), "INPUT1")]}
    yield "one binary, one JSON", _binary("simple", mixed, values("<i4", *range(16)))
    asked = [{"name": "OUTPUT0", "parameters": {"binary_data": True}}, {"name": "OUTPUT1"}]
    yield "one output binary, one JSON", _binary("simple", {**mixed, "outputs": asked}, values("<i4", *range(16)))
    yield "binary body too short", _binary("copy_FP32", {"inputs": [described]}, numbers[:8])
    yield "binary body too long", _binary("copy_FP32", {"inputs": [described]}, numbers + bytes(4))
    small = {**described, "parameters": {"binary_data_size": 8}}
    yield "binary size too small for the shape", _binary("copy_FP32", {"inputs": [small]}, numbers[:8])
    yield "header longer than the body", _binary("copy_FP32", {"inputs": [described]}, numbers, length=5000)
    yield "header length below 0", _binary("copy_FP32", {"inputs": [described]}, numbers, length=-5)


def _raw() -> NamedCalls:
    binary = {"Content-Type": "application/octet-stream", LENGTH: "0"}
    yield "raw body", post("copy_FP32", values("<f4", 1, 2, 3), binary)
    yield "raw body of another width", post("variable", values("<f4", 1, 2, 3, 4, 5), binary)
    yield "raw body without batching", post("plain", values("<f4", *range(6)), binary)
    yield "raw text", post("copy_STRING", strings("a", "b", "c"), binary)
    yield "raw single text", post("actor", b"plain words", binary)
    yield "raw body for two inputs", post("simple", bytes(128), binary)
    yield "raw body of the wrong size", post("copy_FP32", bytes(8), binary)
    yield "raw body, two variable dims", post("variable2", bytes(32), binary)


def _compressed() -> NamedCalls:
    body = json.dumps({"inputs": [FLOATS]}).encode()
    yield "gzip request", post("copy_FP32", gzip.compress(body, mtime=0), {"Content-Encoding": "gzip"})
    yield "deflate request", post("copy_FP32", zlib.compress(body), {"Content-Encoding": "deflate"})
    yield "unknown encoding", post("copy_FP32", body, {"Content-Encoding": "br"})
    yield "no gzip", post("copy_FP32", body, {"Content-Encoding": "gzip"})
    large = {"inputs": [_input("FP32", [1, 2000], [0] * 2000)]}
    for accepted in ("gzip", "deflate", "gzip, deflate", "identity", "br"):
        yield f"accept {accepted}", post("variable", large, {"Accept-Encoding": accepted})


def _generate() -> NamedCalls:
    for model, body in {
        "actor": {"INPUT0": "hello"},
        "copy_FP32": {"INPUT0": [1, 2, 3]},
        "repeat": {"INPUT0": 2},
        "nope": {"INPUT0": 1},
    }.items():
        for kind in ("generate", "generate_stream"):
            yield f"{kind} of {model}", Http(method="POST", path=f"/v2/models/{model}/{kind}", body=body)
    path = "/v2/models/actor/generate"
    yield (
        "generate with parameters",
        Http(method="POST", path=path, body={"INPUT0": "parameters", "parameters": {"a": 1}, "id": "g"}),
    )
    yield (
        "generate with a member more",
        Http(method="POST", path=path, body={"INPUT0": "parameters", "temperature": 0.5}),
    )
    yield "generate with nothing", Http(method="POST", path=path, body={})
    yield "generate with an unreadable body", Http(method="POST", path=path, body=b"{")
    yield (
        "generate of a version",
        Http(method="POST", path="/v2/models/actor/versions/1/generate", body={"INPUT0": "x"}),
    )
    for times in (0, 1, 3, -1):
        yield (
            f"generate_stream of {times}",
            Http(method="POST", path="/v2/models/repeat/generate_stream", body={"INPUT0": times}),
        )
    for times in (0, 1, 3, -1):
        yield f"generate of {times}", Http(method="POST", path="/v2/models/repeat/generate", body={"INPUT0": times})
    yield "generate, the model's error", Http(method="POST", path=path, body={"INPUT0": "error NOT_FOUND away"})
    yield "GET generate", Http(path=path)
    for encoding in ("identity", "gzip", "br", "Identity"):
        for model in ("actor", "nope"):
            url = f"/v2/models/{model}/generate"
            headers = {"Content-Encoding": encoding}
            yield (
                f"generate of {model}, {encoding}",
                Http(method="POST", path=url, body={"INPUT0": "x"}, headers=headers),
            )


def http_refusals() -> NamedCalls:
    for index, unreadable in enumerate((b"", b"{", b"[]", b"1", b'{"inputs": [}', b"\xff\xfe", b'{"inputs": []} x')):
        yield f"unreadable body {index}", post("copy_FP32", unreadable)
    for name, body in {
        "no inputs": {},
        "inputs of another kind": {"inputs": 5},
        "no input": {"inputs": []},
        "id as number": {"inputs": [FLOATS], "id": 5},
        "parameters as list": {"inputs": [FLOATS], "parameters": []},
        "outputs as text": {"inputs": [FLOATS], "outputs": "OUTPUT0"},
        "unknown output": {"inputs": [FLOATS], "outputs": [{"name": "NOPE"}]},
        "output without a name": {"inputs": [FLOATS], "outputs": [{}]},
        "input twice": {"inputs": [FLOATS, FLOATS]},
        "unknown input": {"inputs": [{**FLOATS, "name": "NOPE"}]},
    }.items():
        yield name, post("copy_FP32", body)
    for name, change in _INPUT_CHANGES.items():
        changed = {key: value for key, value in {**FLOATS, **change}.items() if value is not None}
        yield f"input: {name}", post("copy_FP32", {"inputs": [changed], "id": "c"})
    for name, parameters in _PARAMETERS.items():
        yield f"parameter: {name}", post("copy_FP32", {"inputs": [FLOATS], "parameters": parameters})
    for count in ("x", -1):
        asked = [{"name": "OUTPUT0", "parameters": {"classification": count}}]
        yield f"classification {count}", post("copy_FP32", {"inputs": [FLOATS], "outputs": asked})
    for dtype in ("FP16", "BF16"):
        yield f"{dtype} as JSON", post(f"copy_{dtype}", {"inputs": [_input(dtype, [1, 3], [1, 2, 3])]})
    for words in ([1, 2, 3], ["a", "b"], [["a"], ["b"], 5]):
        yield f"text as {words}", post("copy_STRING", {"inputs": [_input("BYTES", [1, 3], words)]})
    misfits: tuple[tuple[str, list[Any]], ...] = (
        *(("INT8", [1, 2, 300]), ("INT8", [1.5, 2, 3]), ("UINT8", [-1, 2, 3]), ("INT64", ["1", 2, 3])),
        *(("BOOL", [1, 0, 1]), ("FP32", ["x", 1, 2]), ("UINT64", [2**64, 1, 2]), ("FP32", [None, 1, 2])),
    )
    for dtype, data in misfits:
        yield f"{dtype} as {data}", post(f"copy_{dtype}", {"inputs": [_input(dtype, [1, 3], data)]})
    yield from _lookup()
    yield from _execution()


_INPUT_CHANGES: dict[str, dict[str, Any]] = {
    "no name": {"name": None},
    "no shape": {"shape": None},
    "no datatype": {"datatype": None},
    "no data": {"data": None},
    "datatype FLOAT": {"datatype": "FLOAT"},
    "datatype 5": {"datatype": 5},
    "datatype INT32": {"datatype": "INT32", "data": [1, 2, 3]},
    "shape of text": {"shape": ["1", "3"]},
    "shape below 0": {"shape": [1, -1]},
    "too few elements": {"data": [1, 2]},
    "too many elements": {"data": [1, 2, 3, 4]},
    "wrong width": {"shape": [1, 2], "data": [1, 2]},
    "wrong rank": {"shape": [3]},
    "no dimensions": {"shape": [], "data": [1]},
    "batch too large": {"shape": [9, 3], "data": [1] * 27},
    "data and a region": {"parameters": {"shared_memory_region": "r", "shared_memory_byte_size": 12}},
    "data and binary": {"parameters": {"binary_data_size": 12}},
    "data as an object": {"data": {"a": 1}},
    "data as text": {"data": "123"},
}
_PARAMETERS: dict[str, dict[str, Any]] = {
    "priority below 0": {"priority": -1},
    "priority as text": {"priority": "1"},
    "timeout as text": {"timeout": "1"},
    "sequence_id as list": {"sequence_id": [1]},
    "sequence_id as flag": {"sequence_id": True},
    "sequence_start as number": {"sequence_start": 1},
    "reserved": {"triton_secret": 1},
    "final response": {"triton_enable_empty_final_response": True},
    "an object": {"mine": {"a": 1}},
    "a list": {"mine": [1]},
    "null": {"mine": None},
    "binary_data_output as number": {"binary_data_output": 1},
}


def _lookup() -> NamedCalls:
    body = {"inputs": [FLOATS]}
    yield "unknown model", post("nope", body)
    yield "unknown version", post("copy_FP32", body, version="7")
    yield "version 0", post("copy_FP32", body, version="0")
    yield "version of letters", post("copy_FP32", body, version="abc")
    yield "GET infer", Http(path="/v2/models/copy_FP32/infer")
    yield "infer with a slash", Http(method="POST", path="/v2/models/copy_FP32/infer/", body=body)
    yield "no model", Http(method="POST", path="/v2/models//infer", body=body)
    yield "decoupled model", post("repeat", {"inputs": [_input("INT32", [1], [2])]})
    yield "name with an escape", Http(method="POST", path="/v2/models/copy%5FFP32/infer", body=body)
    yield "a query", Http(method="POST", path="/v2/models/copy_FP32/infer?x=1", body=body)


def _execution() -> NamedCalls:
    for words in ("raise the roof", "error NOT_FOUND away", "error INVALID_ARG wrong", "error UNAVAILABLE later"):
        yield f"model told '{words}'", post("actor", {"inputs": [_input("BYTES", [1, 1], [words])], "id": "e"})
    yield "sequence without an id", post("accumulate", {"inputs": [_input("INT32", [1, 1], [1])]})
    step = {"inputs": [_input("INT32", [1, 1], [1])], "parameters": {"sequence_id": 600}}
    yield "sequence that was not started", post("accumulate", step)
    yield "the server after all that", post("copy_FP32", {"inputs": [FLOATS]})
