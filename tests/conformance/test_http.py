"""Triton's own HTTP client against the server, over real connections."""

import http.client
import json
import math
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.utils.shared_memory as shared_memory
from support.server import Server
from tritonclient.utils import InferenceServerException, triton_to_np_dtype

FIRST = np.arange(16, dtype=np.int32).reshape(1, 16)
SECOND = np.full((1, 16), 3, dtype=np.int32)


@pytest.fixture(scope="module")
def url(both: dict[str, Server]) -> str:
    return both["native"].http_url


@pytest.fixture
def client(url: str) -> Iterator[Any]:
    with triton.InferenceServerClient(url) as client:
        yield client


def inputs(*, binary: bool, first: Any = FIRST) -> list[Any]:
    found = []
    for name, values in (("INPUT0", first), ("INPUT1", SECOND)):
        tensor = triton.InferInput(name, list(values.shape), "INT32")
        tensor.set_data_from_numpy(values, binary_data=binary)
        found.append(tensor)
    return found


def outputs(*, binary: bool) -> list[Any]:
    return [triton.InferRequestedOutput(name, binary_data=binary) for name in ("OUTPUT0", "OUTPUT1")]


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("taken", [True, False])
@pytest.mark.parametrize("packed", [None, "gzip", "deflate"])
def test_tensors_go_both_ways_in_each_form(client: Any, given: bool, taken: bool, packed: str | None) -> None:
    result = client.infer(
        "pair",
        inputs(binary=given),
        outputs=outputs(binary=taken),
        request_id="a 1",
        request_compression_algorithm=packed,
        response_compression_algorithm=packed,
    )
    assert (result.as_numpy("OUTPUT0") == FIRST + SECOND).all()
    assert (result.as_numpy("OUTPUT1") == FIRST - SECOND).all()
    assert result.get_response()["id"] == "a 1"
    assert result.get_response()["model_version"] == "1"


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        ("BOOL", [True, False, True]),
        ("INT8", [-128, 0, 127]),
        ("UINT16", [0, 1, 65535]),
        ("INT64", [-(2**63), 0, 2**63 - 1]),
        ("UINT64", [0, 1, 2**64 - 1]),
        ("FP32", [0.1, math.inf, 3.4e38]),
        ("FP64", [0.1, 5e-324, 1e308]),
    ],
)
def test_every_dtype_survives_json(client: Any, dtype: str, values: list[object]) -> None:
    array = np.array([values], dtype=triton_to_np_dtype(dtype))
    tensor = triton.InferInput("x", [1, 3], dtype)
    tensor.set_data_from_numpy(array, binary_data=False)
    result = client.infer(f"copy_{dtype}", [tensor], outputs=[triton.InferRequestedOutput("y", binary_data=False)])
    assert result.as_numpy("y").tolist() == array.tolist()


def test_health_metadata_config_and_statistics(client: Any) -> None:
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("pair")
    assert not client.is_model_ready("nope")
    assert "statistics" in client.get_server_metadata()["extensions"]
    assert client.get_model_metadata("pair")["inputs"][0] == {"name": "INPUT0", "datatype": "INT32", "shape": [-1, 16]}
    assert client.get_model_config("pair")["max_batch_size"] == 8
    before = client.get_inference_statistics("pair", "1")["model_stats"][0]["inference_stats"]["success"]["count"]
    client.infer("pair", inputs(binary=True))
    after = client.get_inference_statistics("pair", "1")["model_stats"][0]["inference_stats"]["success"]["count"]
    assert after == before + 1
    assert {"name": "pair", "version": "1", "state": "READY"} in client.get_model_repository_index()


def test_classification_answers_values_with_their_indices(client: Any) -> None:
    wanted = triton.InferRequestedOutput("OUTPUT0", binary_data=False, class_count=2)
    result = client.infer("pair", inputs(binary=True), outputs=[wanted])
    assert result.as_numpy("OUTPUT0").tolist() == [["18:15", "17:14"]]


def test_tensors_in_shared_memory(client: Any) -> None:
    region = shared_memory.create_shared_memory_region("http_region", "/npuserve_http_test", 192)
    try:
        shared_memory.set_shared_memory_region(region, [FIRST, SECOND])
        client.register_system_shared_memory("http_region", "/npuserve_http_test", 192)
        given = [triton.InferInput(f"INPUT{place}", [1, 16], "INT32") for place in range(2)]
        for place, tensor in enumerate(given):
            tensor.set_shared_memory("http_region", 64, offset=64 * place)
        wanted = triton.InferRequestedOutput("OUTPUT0")
        wanted.set_shared_memory("http_region", 64, offset=128)
        result = client.infer("pair", given, outputs=[wanted])
        assert "data" not in result.get_output("OUTPUT0")
        written = shared_memory.get_contents_as_numpy(region, np.int32, [1, 16], offset=128)
        assert (written == FIRST + SECOND).all()
        assert client.get_system_shared_memory_status()[0]["name"] == "http_region"
    finally:
        client.unregister_system_shared_memory()
        shared_memory.destroy_shared_memory_region(region)


def test_settings_are_changed_and_read(client: Any) -> None:
    assert client.update_log_settings({"log_warning": False})["log_warning"] is False
    assert client.update_log_settings({"log_warning": True})["log_warning"] is True
    changed = client.update_trace_settings("pair", {"trace_rate": "5"})
    assert changed["trace_rate"] == "5"
    assert client.get_trace_settings()["trace_rate"] == "1000"
    assert client.update_trace_settings("pair", {"trace_rate": None})["trace_rate"] == "1000"


@pytest.mark.parametrize(
    ("model", "first", "status", "message"),
    [
        ("nope", FIRST, "404", "Request for unknown model: 'nope' is not found"),
        (
            "pair",
            FIRST[:, :15],
            "400",
            "unexpected shape for input 'INPUT0' for model 'pair'. Expected [-1,16], got [1,15]",
        ),
        ("pair", np.zeros((9, 16), np.int32), "400", "batch"),
    ],
)
def test_errors_are_the_clients_to_read(client: Any, model: str, first: Any, status: str, message: str) -> None:
    with pytest.raises(InferenceServerException) as raised:
        client.infer(model, inputs(binary=True, first=first))
    assert raised.value.status() == status
    assert message in raised.value.message()
    assert (client.infer("pair", inputs(binary=True)).as_numpy("OUTPUT0") == FIRST + SECOND).all()


def exchange(url: str, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(url, timeout=60)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, named)
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/v2/", 404, "Not Found"),
        ("GET", "/v2/models/pair/infer", 405, "Method Not Allowed"),
        ("GET", "/v2/models/pair/versions/9", 404, "Request for unknown model: 'pair' version 9 is not found"),
        ("POST", "/v2/models/pair/infer", 400,
         "[request id: <id_unknown>] Raw request must only have 1 input (found 1) to be deduced but got 2 inputs in "
         "'pair' model configuration"),
    ],
)  # fmt: skip
def test_errors_are_json(url: str, method: str, path: str, status: int, message: str) -> None:
    found, _, body = exchange(url, method, path)
    assert (found, json.loads(body)) == (status, {"error": message})


def test_a_raw_request_is_answered_raw(url: str) -> None:
    content = struct.pack("<3f", 1, 2, 3)
    status, headers, body = exchange(
        url, "POST", "/v2/models/copy_FP32/infer", content, Inference_Header_Content_Length="0"
    )
    assert status == 200
    assert body[int(headers["inference-header-content-length"]) :] == content


def test_a_model_that_answers_once_generates(url: str) -> None:
    document = json.dumps({"x": [1, 2.5, 3], "id": "g"}).encode()
    status, _, body = exchange(url, "POST", "/v2/models/copy_FP32/generate", document)
    assert (status, body) == (200, b'{"y":[1.0,2.5,3.0],"id":"g","model_name":"copy_FP32","model_version":"1"}')
    status, headers, body = exchange(url, "POST", "/v2/models/copy_FP32/generate_stream", document)
    assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert body.startswith(b'data: {"y":[1.0,2.5,3.0]') and body.endswith(b"}\n\n")


def test_bad_requests_among_good_ones_harm_none(client: Any, url: str) -> None:
    bad = [
        b"{",
        b'{"inputs":[{}]}',
        b"[" * 5000,
        b'{"inputs":[{"name":"INPUT0","shape":[1,99999999999],"datatype":"INT32","data":[1]}]}',
    ]
    for round_ in range(40):
        status, _, body = exchange(
            url,
            "POST",
            "/v2/models/pair/infer",
            bad[round_ % len(bad)],
            Inference_Header_Content_Length=str(len(bad[round_ % len(bad)])),
        )
        assert status in (400, 500) and "error" in json.loads(body)
        assert (client.infer("pair", inputs(binary=bool(round_ % 2))).as_numpy("OUTPUT0") == FIRST + SECOND).all()
