"""Valid ModelInfer requests for the conformance models, in Triton's own messages, to be made wrong by tests."""

from collections.abc import Sequence

import grpc
import numpy as np
from tritonclient.grpc import service_pb2

Input = tuple[str, str, Sequence[int]]

INPUT0: Input = ("INPUT0", "INT32", (1, 16))
INPUT1: Input = ("INPUT1", "INT32", (1, 16))


def pair_request(*inputs: Input, raw: Sequence[bytes] | None = None, **fields: str) -> service_pb2.ModelInferRequest:
    """A request to `pair` (or `model_name`) with zeros for each input; `raw` replaces the contents."""
    request = service_pb2.ModelInferRequest(**{"model_name": "pair", **fields})
    for name, datatype, shape in inputs or (INPUT0, INPUT1):
        request.inputs.add(name=name, datatype=datatype, shape=shape)
        if raw is None:
            request.raw_input_contents.append(bytes(4 * int(np.prod([size for size in shape if size >= 0]))))
    request.raw_input_contents.extend(raw or ())
    return request


def typed_request() -> service_pb2.ModelInferRequest:
    """The same with typed contents 0..15."""
    request = pair_request(raw=())
    for tensor in request.inputs:
        tensor.contents.int_contents.extend(range(16))
    return request


def infer(channel: grpc.Channel, request: service_pb2.ModelInferRequest) -> service_pb2.ModelInferResponse:
    call = channel.unary_unary(
        "/inference.GRPCInferenceService/ModelInfer",
        request_serializer=service_pb2.ModelInferRequest.SerializeToString,
        response_deserializer=service_pb2.ModelInferResponse.FromString,
    )
    return call(request, timeout=20)
