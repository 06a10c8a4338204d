from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc
import numpy as np
import pytest
from npuserve._proto import inference_pb2 as messages
from npuserve.core.dtype import Dtype
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.serve.client import Client, Port, ServiceError, cast_to


class Echo(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # at run time it has none
    """Answers with the inputs, or with an error to the model `broken`."""

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        if not details.method.endswith("ModelInfer"):
            return None
        return grpc.unary_unary_rpc_method_handler(
            self.infer, messages.ModelInferRequest.FromString, messages.ModelInferResponse.SerializeToString
        )

    def infer(self, request: Any, context: grpc.ServicerContext) -> Any:
        if request.model_name == "broken":
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "wrong shape")
        answer = messages.ModelInferResponse(raw_output_contents=request.raw_input_contents)
        for given in request.inputs:
            answer.outputs.add(name=given.name, datatype=given.datatype, shape=given.shape)
        return answer


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    server = grpc.server(futures.ThreadPoolExecutor(2), handlers=[Echo()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with Client(f"127.0.0.1:{port}") as found:
        yield found
    server.stop(None).wait()


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.int64).reshape(2, 3),
        np.array([[1.5]], np.float16),
        np.array([True, False]),
        np.array([[b"one", b""]], object),
        np.arange(6, dtype=">i4").reshape(2, 3).T,
        np.zeros((0, 4), np.float32),
    ],
    ids=str,
)
def test_tensors_come_back_as_they_went(client: Client, array: np.ndarray) -> None:
    answer = client.infer("echo", {"x": array})["x"]
    assert answer.shape == array.shape
    np.testing.assert_array_equal(answer, array)


def test_answers_to_many_requests_are_in_their_order(client: Client) -> None:
    samples = [{"x": np.array([[number]])} for number in range(50)]
    answers = client.infer_all("echo", samples, at_once=4)
    assert [int(answer["x"][0, 0]) for answer in answers] == list(range(50))


def test_what_a_server_refuses_is_told_in_its_words(client: Client) -> None:
    sample = {"x": np.ones(1)}
    with pytest.raises(ServiceError, match="answered INVALID_ARGUMENT: wrong shape"):
        client.infer("broken", sample)
    with pytest.raises(ServiceError, match="answered INVALID_ARGUMENT: wrong shape"):
        client.infer_all("broken", [sample], at_once=1)


def test_a_type_that_the_protocol_has_not_is_refused(client: Client) -> None:
    with pytest.raises(MigrationError, match="input 'x' is complex128, which the protocol cannot carry"):
        client.infer("echo", {"x": np.ones(1, np.complex128)})


def test_a_service_gets_what_it_wants_in_its_types() -> None:
    sample = {"input_ids": np.ones((1, 4), np.int64), "token_type_ids": np.zeros((1, 4), np.int64)}
    found = cast_to(sample, [Port("input_ids", Dtype.INT32, (-1, -1))])
    assert {name: array.dtype for name, array in found.items()} == {"input_ids": np.int32}
    scalars = cast_to({"x": np.ones(3, np.float32)}, [Port("x", Dtype.FP32, (-1, 1))])
    assert scalars["x"].shape == (3, 1)
    with pytest.raises(MigrationError, match="wants the input 'mask', the samples have input_ids, token_type_ids"):
        cast_to(sample, [Port("mask", Dtype.INT32, (-1, -1))])
