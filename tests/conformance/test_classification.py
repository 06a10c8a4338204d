"""Classes, typed contents, and integers of either width, with the stock client on both front ends.

The texts of the classes are those that Triton 2.51 answers to the same values.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton
from support.models import expected_tokens
from support.served_models import add_identity_model, add_model, copy_config
from support.server import Server, serving
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

FRONT_ENDS = ("native", "grpcio")
GRPC_ALONE = ("--allow-http=false", "--allow-metrics=false")
LABELS = "zero\none\n\nthree \n four\n"
# Of each model, by its data type: how many values it takes, and whether it batches.
MODELS = {"FP32": (5, 4), "INT8": (3, 4), "BOOL": (3, 0), "FP16": (3, 0), "BF16": (3, 0), "UINT64": (3, 0)}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    folder = tmp_path_factory.mktemp("classes")
    for dtype, (size, max_batch_size) in MODELS.items():
        config = copy_config(dtype, size, rest=f"max_batch_size: {max_batch_size}").replace(
            'name: "y"', 'name: "y" label_filename: "labels.txt"'
        )
        (add_identity_model(folder, dtype, config) / "labels.txt").write_text(LABELS)
    add_model(folder, "tokens")
    with ExitStack() as stack:
        yield {name: stack.enter_context(serving(folder, f"--frontend={name}", *GRPC_ALONE)) for name in FRONT_ENDS}


@pytest.fixture(params=FRONT_ENDS)
def client(servers: dict[str, Server], request: pytest.FixtureRequest) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(servers[request.param].url) as client:
        yield client


@pytest.fixture(params=FRONT_ENDS)
def stub(
    servers: dict[str, Server], request: pytest.FixtureRequest
) -> Iterator[service_pb2_grpc.GRPCInferenceServiceStub]:
    with servers[request.param].channel() as channel:
        yield service_pb2_grpc.GRPCInferenceServiceStub(channel)


def classes(client: triton.InferenceServerClient, dtype: str, values: Any, count: int) -> Any:
    given = triton.InferInput("x", list(values.shape), dtype)
    given.set_data_from_numpy(values)
    wanted = triton.InferRequestedOutput("y", class_count=count)
    return client.infer(dtype, [given], outputs=[wanted]).as_numpy("y")


def test_the_greatest_classes_of_each_row(client: triton.InferenceServerClient) -> None:
    values = np.array([[1, 3, 2, 3, 0.5], [-1, -5, 0, -6, 1e20]], np.float32)
    assert classes(client, "FP32", values, 3).tolist() == [
        [b"3.000000:1:one", b"3.000000:3:three ", b"2.000000:2"],
        [b"100000002004087734272.000000:4: four", b"0.000000:2", b"-1.000000:0:zero"],
    ]


def test_more_classes_than_there_are(client: triton.InferenceServerClient) -> None:
    values = np.array([[1, -128, 127]], np.int8)
    assert classes(client, "INT8", values, 9).tolist() == [[b"127:2", b"1:0:zero", b"-128:1:one"]]


def test_without_a_batch_dimension(client: triton.InferenceServerClient) -> None:
    values = np.array([1, 2**64 - 1, 0], np.uint64)
    assert classes(client, "UINT64", values, 2).tolist() == [b"18446744073709551615:1:one", b"1:0:zero"]


@pytest.mark.parametrize(("dtype", "values"), [("BOOL", np.ones(3, np.bool_)), ("FP16", np.ones(3, np.float16))])
def test_what_has_no_order_is_refused_and_the_server_lives(
    client: triton.InferenceServerClient, dtype: str, values: Any
) -> None:
    with pytest.raises(InferenceServerException) as caught:
        classes(client, dtype, values, 1)
    assert (caught.value.status(), caught.value.message()) == (
        "StatusCode.INVALID_ARGUMENT",
        f"class result not available for output due to unsupported type '{dtype}'",
    )
    assert client.is_server_ready()


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("string_param", "1", "invalid value type for 'classification' parameter, expected int64_param"),
        ("int64_param", 0, "invalid value for 'classification' parameter, expected >= 0"),
        ("int64_param", -1, "invalid value for 'classification' parameter, expected >= 0"),
    ],
)
def test_how_many_classes_must_be_a_positive_number(
    client: triton.InferenceServerClient, kind: str, value: Any, text: str
) -> None:
    given = triton.InferInput("x", [1, 5], "FP32")
    given.set_data_from_numpy(np.zeros((1, 5), np.float32))
    wanted = triton.InferRequestedOutput("y")
    setattr(wanted._get_tensor().parameters["classification"], kind, value)
    with pytest.raises(InferenceServerException) as caught:
        client.infer("FP32", [given], outputs=[wanted])
    assert caught.value.message() == text


@pytest.mark.parametrize(
    ("dtype", "expected"), [("FP16", [0.5, 1.0, 1.001953125]), ("BF16", [0.5, 1.0, 1.0]), ("UINT64", None)]
)
def test_half_precision_is_sent_and_answered_as_floats(
    stub: service_pb2_grpc.GRPCInferenceServiceStub, dtype: str, expected: list[float] | None
) -> None:
    request = service_pb2.ModelInferRequest(model_name=dtype)
    tensor = request.inputs.add(name="x", datatype=dtype, shape=[3])
    if expected is None:
        tensor.contents.uint64_contents.extend([0, 5, 2**64 - 1])
    else:
        tensor.contents.fp32_contents.extend([0.5, 1 + 2**-11, 1 + 3 * 2**-11])
    request.outputs.add(name="y").parameters["binary_data"].bool_param = False
    response = stub.ModelInfer(request, timeout=30)
    (output,) = response.outputs
    assert not response.raw_output_contents
    if expected is None:
        assert list(output.contents.uint64_contents) == [0, 5, 2**64 - 1]
    else:
        assert list(output.contents.fp32_contents) == expected


def tokens(dtype: type[Any], ids: Any) -> list[triton.InferInput]:
    inputs = []
    for name, array in (("input_ids", ids), ("attention_mask", np.ones_like(ids))):
        given = triton.InferInput(name, list(array.shape), "INT32" if dtype is np.int32 else "INT64")
        given.set_data_from_numpy(array.astype(dtype))
        inputs.append(given)
    return inputs


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_token_ids_of_either_width(client: triton.InferenceServerClient, dtype: type[Any]) -> None:
    ids = np.arange(-5, 11, dtype=np.int64).reshape(2, 8)
    result = client.infer("tokens", tokens(dtype, ids))
    np.testing.assert_array_equal(result.as_numpy("logits"), expected_tokens(ids, np.ones_like(ids)))


def test_priorities_and_timeouts_are_nothing_to_a_model_without_them(client: triton.InferenceServerClient) -> None:
    ids = np.ones((1, 8), np.int64)
    result = client.infer("tokens", tokens(np.int64, ids), priority=3, timeout=1_000_000)
    assert not result.get_response().parameters
