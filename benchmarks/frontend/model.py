"""The model that every peer serves, 128 FP32 numbers in and the same out, and its request as bytes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tritonclient.grpc import service_pb2

MODEL = "identity"
METHOD = "/inference.GRPCInferenceService/ModelInfer"
NUMBERS = 128
PREFIX_BYTES = 5  # gRPC's, before a message

_CONFIG = """\
name: "{name}"
backend: "{backend}"
max_batch_size: {max_batch_size}
input [ {{ name: "INPUT0" data_type: TYPE_FP32 dims: [ {numbers} ] }} ]
output [ {{ name: "OUTPUT0" data_type: TYPE_FP32 dims: [ {numbers} ] }} ]
dynamic_batching {{ }}
"""
_WITHOUT_STATISTICS = 'parameters { key: "statistics" value { string_value: "off" } }\n'


def write_model(
    repository: Path,
    backend: str,
    *,
    name: str = MODEL,
    numbers: int = NUMBERS,
    max_batch_size: int = 64,
    statistics: bool = True,
) -> None:
    """Write an identity model that needs no file of its own: a config.pbtxt and an empty version."""
    (repository / name / "1").mkdir(parents=True, exist_ok=True)
    config = _CONFIG.format(name=name, backend=backend, max_batch_size=max_batch_size, numbers=numbers)
    (repository / name / "config.pbtxt").write_text(config + ("" if statistics else _WITHOUT_STATISTICS))


def request_message(row: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]", name: str = MODEL) -> bytes:
    """Serialize a ModelInferRequest of one row."""
    request = service_pb2.ModelInferRequest(model_name=name)
    request.inputs.add(name="INPUT0", datatype="FP32", shape=(1, row.size))
    request.raw_input_contents.append(row.tobytes())
    return bytes(request.SerializeToString())


def output_row(message: bytes) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    """Return the row that a serialized ModelInferResponse brings; raises ValueError if it is not one FP32 OUTPUT0."""
    response = service_pb2.ModelInferResponse.FromString(message)
    described: Sequence[tuple[str, str]] = [(output.name, output.datatype) for output in response.outputs]
    if described != [("OUTPUT0", "FP32")]:
        raise ValueError(f"unexpected outputs {described}")
    return np.frombuffer(response.raw_output_contents[0], np.float32)


def framed(message: bytes) -> bytes:
    """Return a message with gRPC's prefix: not compressed."""
    return b"\0" + len(message).to_bytes(PREFIX_BYTES - 1, "big") + message
