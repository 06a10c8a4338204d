"""Samples as the bytes that a protocol sends, and answers read back."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from npuserve._proto import inference_pb2
from npuserve.core.dtype import Dtype
from npuserve.core.elements import join_elements, split_elements
from npuserve.migrate.chain.tensors import Tensors
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.load.interface import SERVICE, Input, ModelInterface, grpc_fields, http_path
from npuserve.migrate.load.options import LoadOptions


def prepared(options: LoadOptions, model: ModelInterface) -> list[bytes]:
    """Return each sample's request. Raises MigrationError for tensors that the model does not take."""
    make = _http_request if options.protocol == "http" else _grpc_request
    requests = []
    for number, sample in enumerate(options.samples, start=1):
        try:
            requests.append(make(options, _raw_tensors(model, sample)))
        except MigrationError as error:
            raise MigrationError(f"sample {number}: {error}") from error
    return requests


def grpc_head(options: LoadOptions) -> list[tuple[str, str]]:
    """Return the head of every gRPC call."""
    method = "ModelStreamInfer" if options.protocol == "grpc_stream" else "ModelInfer"
    return [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", SERVICE + method),
        (":authority", options.url),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("user-agent", "npuserve-bench"),
        *grpc_fields(options.fields),
    ]


def read_answer(protocol: str, body: bytes) -> dict[str, Any]:
    """Return the tensors of an answer, by name. Raises ValueError."""
    if protocol == "http":
        return _read_http(body)
    answer = inference_pb2.ModelInferResponse.FromString(body)
    return {
        output.name: _array(Dtype(output.datatype), tuple(output.shape), raw)
        for output, raw in zip(answer.outputs, answer.raw_output_contents, strict=True)
    }


def _raw_tensors(model: ModelInterface, sample: Tensors) -> list[tuple[Input, tuple[int, ...], bytes]]:
    missing = [each.name for each in model.inputs if each.name not in sample and not each.is_optional]
    if missing:
        raise MigrationError(f"the input '{missing[0]}' of model '{model.name}' is missing")
    return [(model.input(name), *_raw(model.input(name), array)) for name, array in sample.items()]


def _raw(tensor: Input, given: Any) -> tuple[tuple[int, ...], bytes]:
    array = np.asarray(given)
    wanted = tensor.shape
    fits = array.ndim == len(wanted) and all(
        size in (-1, found) for size, found in zip(wanted, array.shape, strict=True)
    )
    if not fits:
        raise MigrationError(f"the input '{tensor.name}' must have the shape {list(wanted)}, got {list(array.shape)}")
    if tensor.dtype is Dtype.BYTES:
        return array.shape, join_elements(
            each if isinstance(each, bytes) else str(each).encode() for each in array.ravel()
        )
    if tensor.dtype is Dtype.BF16 or not np.can_cast(array.dtype, tensor.dtype.numpy, "same_kind"):
        raise MigrationError(
            f"the input '{tensor.name}' is of {tensor.dtype.value}, which {array.dtype} does not become"
        )
    return array.shape, np.ascontiguousarray(array, tensor.dtype.numpy).tobytes()


def _grpc_request(options: LoadOptions, tensors: Sequence[tuple[Input, tuple[int, ...], bytes]]) -> bytes:
    request = inference_pb2.ModelInferRequest(model_name=options.model, model_version=options.version)
    for tensor, shape, raw in tensors:
        request.inputs.add(name=tensor.name, datatype=tensor.dtype.value, shape=shape)
        request.raw_input_contents.append(raw)
    message = request.SerializeToString()
    # gRPC's prefix: not compressed, and the length.
    return b"\0" + len(message).to_bytes(4, "big") + message


def _http_request(options: LoadOptions, tensors: Sequence[tuple[Input, tuple[int, ...], bytes]]) -> bytes:
    inputs = [
        {
            "name": tensor.name,
            "datatype": tensor.dtype.value,
            "shape": list(shape),
            "parameters": {"binary_data_size": len(raw)},
        }
        for tensor, shape, raw in tensors
    ]
    text = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}, separators=(",", ":")).encode()
    body = text + b"".join(raw for _, _, raw in tensors)
    head = [
        f"POST {http_path(options.model, options.version)}/infer HTTP/1.1",
        f"Host: {options.url}",
        "User-Agent: npuserve-bench",
        "Content-Type: application/octet-stream",
        f"Inference-Header-Content-Length: {len(text)}",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in options.fields),
    ]
    return "\r\n".join([*head, "", ""]).encode() + body


def _read_http(body: bytes) -> dict[str, Any]:
    # The head that tells where the JSON ends is not kept; JSON tells it itself. One character a byte.
    _, end = json.JSONDecoder().raw_decode(body.decode("latin-1"))
    outputs: Sequence[Mapping[str, Any]] = json.loads(body[:end])["outputs"]
    found = {}
    for output in outputs:
        size = int(output["parameters"]["binary_data_size"])
        found[output["name"]] = _array(Dtype(output["datatype"]), tuple(output["shape"]), body[end : end + size])
        end += size
    return found


def _array(dtype: Dtype, shape: tuple[int, ...], raw: bytes) -> Any:
    if dtype is Dtype.BYTES:
        return np.array(list(split_elements(raw)), dtype=object).reshape(shape)
    return np.frombuffer(raw, dtype.numpy).reshape(shape)
