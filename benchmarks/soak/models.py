"""The identity models that the load asks, their requests, and the check of an answer."""

import random
from pathlib import Path

from google.protobuf.message import DecodeError
from tritonclient.grpc import service_pb2

# Elements of one row, INT32. Only calls that are never given up ask `exact`: its counters must be what clients saw.
MODELS = {"exact": 128, "mixed": 128, "medium": 64 * 1024, "large": 4 * 1024 * 1024}
ELEMENT_BYTES = 4

# Room for three of the largest messages: if one were not given back, all others would soon wait for ever.
_BUDGET_BYTES = 48 * 1024 * 1024
SERVER_FLAGS = {
    "native": ("--frontend=native", f"--grpc-memory-budget-bytes={_BUDGET_BYTES}"),
    "grpcio": ("--frontend=grpcio",),
}

# What asks `mixed` waits for company, so that calls which are given up are found in the queue, beside others' rows.
_BATCHING = {"mixed": "dynamic_batching { preferred_batch_size: [ 8 ] max_queue_delay_microseconds: 5000 }"}
_CONFIG = """
backend: "identity"
max_batch_size: %(rows)d
input [ { name: "INPUT0" data_type: TYPE_INT32 dims: [ %(elements)d ] } ]
output [ { name: "OUTPUT0" data_type: TYPE_INT32 dims: [ %(elements)d ] } ]
%(batching)s
"""


def write_repository(folder: Path) -> None:
    """Write a repository with all of MODELS."""
    for name, elements in MODELS.items():
        (folder / name / "1").mkdir(parents=True, exist_ok=True)
        batching = _BATCHING.get(name, "dynamic_batching { }")
        rows = 8 if elements < MODELS["large"] else 2
        config = _CONFIG % {"rows": rows, "elements": elements, "batching": batching}
        (folder / name / "config.pbtxt").write_text(config)


class Payloads:
    """Rows of random bytes, all different, cut out of one pool at random places."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._pool = self._random.randbytes((MODELS["large"] + 1024 * 1024) * ELEMENT_BYTES)

    def take(self, model: str) -> bytes:
        """Return a row for a model."""
        size = MODELS[model] * ELEMENT_BYTES
        start = self._random.randrange(0, len(self._pool) - size)
        return self._pool[start : start + size]


def request_bytes(model: str, payload: bytes, identifier: str) -> bytes:
    """Return a serialized ModelInferRequest of one row."""
    request = service_pb2.ModelInferRequest(model_name=model, id=identifier)
    request.inputs.add(name="INPUT0", datatype="INT32", shape=(1, MODELS[model]))
    request.raw_input_contents.append(payload)
    return bytes(request.SerializeToString())


def difference(answer: bytes, model: str, payload: bytes, identifier: str) -> str:
    """Return what is wrong with a serialized ModelInferResponse; nothing if it is the request's answer."""
    try:
        response = service_pb2.ModelInferResponse.FromString(answer)
    except DecodeError:
        return f"the answer to {model} {identifier!r} is no ModelInferResponse"
    if (response.model_name, response.id) != (model, identifier):
        return f"the answer is of {response.model_name} {response.id!r}, not of {model} {identifier!r}"
    if [tuple(output.shape) for output in response.outputs] != [(1, MODELS[model])]:
        return f"the answer's outputs are {response.outputs}"
    if list(response.raw_output_contents) != [payload]:
        return f"the answer to {model} {identifier!r} has other bytes than the request"
    return ""
