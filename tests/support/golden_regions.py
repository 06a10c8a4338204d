"""System shared memory, and CUDA's on a server without GPUs."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import Message
from support.golden_calls import Answer, Asked, Http, Local, NamedCalls, Tensor, Unary, floats, infer, integers
from tritonclient.grpc import service_pb2 as pb

# Of this process alone; the golden answers hold what stands for it.
KEY = f"/parity_{os.getpid()}"
REPLACED = {KEY: "/<key>"}
# Each region has an object of its own: Triton 2.51 keeps the descriptor of a key, closed or not, for the next region.
REGIONS = ("r", "half", "h", "again", "x")
SIZE = 8192
_ROOT = "/v2/systemsharedmemory"


def _file(region: str) -> Path:
    return Path("/dev/shm") / f"{KEY}_{region}".lstrip("/")


def _create(asked: Asked) -> Answer:
    for region in REGIONS:
        _file(region).write_bytes(np.arange(SIZE // 4, dtype="<f4").tobytes())
    return {}


def _remove(asked: Asked) -> Answer:
    for region in REGIONS:
        _file(region).unlink()
    return {}


def _read(asked: Asked) -> Answer:
    return {"output": np.frombuffer(_file("half").read_bytes(), "<f4", 8).tolist()}


def _unary(method: str, request: Message) -> Unary:
    return Unary(method=method, request=request)


def _register(name: str, size: int = SIZE, offset: int = 0, key: str = "") -> Unary:
    request = pb.SystemSharedMemoryRegisterRequest(name=name, key=key or f"{KEY}_{name}", offset=offset, byte_size=size)
    return _unary("SystemSharedMemoryRegister", request)


def _http_register(name: str, **body: Any) -> Http:
    return Http(method="POST", path=f"{_ROOT}/region/{name}/register", body=body)


def shared_memory() -> NamedCalls:
    yield "create the objects", Local(_create)
    yield from _registration()
    yield from _inference()
    yield from _http_inference()
    yield from _unregistration()
    yield from _cuda()
    yield "remove the objects", Local(_remove)


def _registration() -> NamedCalls:
    status = _unary("SystemSharedMemoryStatus", pb.SystemSharedMemoryStatusRequest())
    yield "status of none", status
    yield "status of none, HTTP", Http(path=f"{_ROOT}/status")
    yield "register", _register("r")
    yield "register the first half", _register("half", 4096)
    yield "register over HTTP", _http_register("h", key=f"{KEY}_h", byte_size=SIZE, offset=0)
    yield "register over HTTP again", _http_register("h", key=f"{KEY}_h", byte_size=SIZE, offset=0)
    yield "register what is to be registered again", _register("again")
    yield "register again", _register("again")
    yield "status of all", status
    yield "status of one", _unary("SystemSharedMemoryStatus", pb.SystemSharedMemoryStatusRequest(name="half"))
    yield "status of one, HTTP", Http(path=f"{_ROOT}/region/half/status")
    yield "status of unknown", _unary("SystemSharedMemoryStatus", pb.SystemSharedMemoryStatusRequest(name="nope"))
    yield "status of unknown, HTTP", Http(path=f"{_ROOT}/region/nope/status")
    yield "key that is not there", _register("x", key="/parity_nowhere")
    yield "size beyond the object", _register("x", SIZE + 4096)
    yield "offset beyond the object", _register("x", 4096, SIZE)
    yield "size 0", _register("x", 0)
    yield "offset of no page", _register("x", 100, 100)
    bodies: dict[str, dict[str, Any]] = {
        "nothing": {},
        "no size": {"key": f"{KEY}_x"},
        "no key": {"byte_size": 5},
        "a number as key": {"key": 5, "byte_size": 5},
        "text as size": {"key": f"{KEY}_x", "byte_size": "x"},
    }
    for name, body in bodies.items():
        yield f"HTTP body with {name}", _http_register("x", **body)
    yield (
        "HTTP without a region",
        Http(method="POST", path=f"{_ROOT}/register", body={"key": f"{KEY}_x", "byte_size": 5}),
    )
    yield "HTTP with an unreadable body", Http(method="POST", path=f"{_ROOT}/region/x/register", body=b"{")


def _place(region: str, size: Any = None, offset: Any = None) -> dict[str, Any]:
    given = {"shared_memory_region": region, "shared_memory_byte_size": size, "shared_memory_offset": offset}
    return {key: value for key, value in given.items() if value is not None}


def _placed(place: Mapping[str, Any], rows: int = 1) -> Tensor:
    return Tensor(shape=(rows, 3), parameters=place)


def _inference() -> NamedCalls:
    inline = floats("INPUT0", (2, 3), 9, 8, 7, 6, 5, 4)
    yield "input from a region", infer("copy_FP32", _placed(_place("r", 12, 4)))
    yield "input from the first half", infer("copy_FP32", _placed(_place("half", 12)))
    yield "output to a region", infer("copy_FP32", inline, outputs=[("OUTPUT0", _place("half", 24))])
    yield "what the region holds", Local(_read)
    yield "output to a larger place", infer("copy_FP32", inline, outputs=[("OUTPUT0", _place("half", 4000, 16))])
    yield "both in regions", infer("copy_FP32", _placed(_place("r", 24), 2), outputs=[("OUTPUT0", _place("half", 24))])
    yield "what the region holds then", Local(_read)
    first = Tensor(name="INPUT0", datatype="INT32", shape=(1, 16), parameters=_place("r", 64))
    second = Tensor(name="INPUT1", datatype="INT32", shape=(1, 16), raw=bytes(64))
    yield "one input in a region, one raw", infer("simple", first, second)
    for name, place in {
        "unknown region": _place("nope", 12),
        "offset at the end": _place("r", 12, SIZE),
        "offset below 0": _place("r", 12, -1),
        "size past the end": _place("r", 12, SIZE - 4),
        "size 0": _place("r", 0),
        "no size": _place("r"),
        "too few bytes": _place("r", 8),
        "too many bytes": _place("r", 16),
        "region as number": {"shared_memory_region": 5, "shared_memory_byte_size": 12},
        "size as text": _place("r", "12"),
        "offset as text": _place("r", 12, "0"),
    }.items():
        yield f"input: {name}", infer("copy_FP32", _placed(place))
        # Of 8 bytes. The peer's copying backend does not survive a region that is too small.
        two = integers("INPUT0", (1, 2), 1, 2)
        small = {**place, "shared_memory_byte_size": 4} if name == "too few bytes" else place
        yield f"output: {name}", infer("optional", two, outputs=[("OUTPUT0", small)])
    classes = [("OUTPUT0", {**_place("r", 100), "classification": 1})]
    yield "classes in a region", infer("copy_FP32", floats("INPUT0", (1, 3), 1, 2, 3), outputs=classes)
    contents = Tensor(shape=(1, 3), parameters=_place("r", 12), contents=("fp32_contents", [1.0, 2.0, 3.0]))
    yield "region and contents", infer("copy_FP32", contents)


def _http_inference() -> NamedCalls:
    def post(input_parameters: dict[str, Any], **output: Any) -> Http:
        """From a region to a place, with the model that copies."""
        body: dict[str, Any] = {
            "inputs": [{"name": "INPUT0", "shape": [1, 3], "datatype": "FP32", "parameters": input_parameters}],
            "outputs": [{"name": "OUTPUT0", "parameters": output}],
        }
        return Http(method="POST", path="/v2/models/copy_FP32/infer", body=body)

    yield "HTTP: input from a region", post(_place("r", 12, 4), binary_data=False)
    yield "HTTP: both in regions", post(_place("r", 12, 4), **_place("half", 12, 0))
    yield "HTTP: unknown region", post(_place("nope", 12))
    yield "HTTP: size past the end", post(_place("r", 12, SIZE - 4))
    yield "HTTP: offset at the end", post(_place("r", 12, SIZE))
    two: dict[str, Any] = {
        "inputs": [{"name": "INPUT0", "shape": [1, 2], "datatype": "INT32", "data": [1, 2]}],
        "outputs": [{"name": "OUTPUT0", "parameters": _place("half", 4, 0)}],
    }
    yield "HTTP: too small an output", Http(method="POST", path="/v2/models/optional/infer", body=two)
    yield "HTTP: region and binary data", post(_place("r", 12), **_place("half", 12, 0), binary_data=True)
    yield "HTTP: region and classes", post(_place("r", 12), **_place("half", 12, 0), classification=1)


def _unregistration() -> NamedCalls:
    status = _unary("SystemSharedMemoryStatus", pb.SystemSharedMemoryStatusRequest())
    yield "unregister one", _unary("SystemSharedMemoryUnregister", pb.SystemSharedMemoryUnregisterRequest(name="half"))
    yield "unregister unknown", _unary("SystemSharedMemoryUnregister", pb.SystemSharedMemoryUnregisterRequest(name="x"))
    yield "unregister over HTTP", Http(method="POST", path=f"{_ROOT}/region/h/unregister")
    yield "unregister unknown over HTTP", Http(method="POST", path=f"{_ROOT}/region/x/unregister")
    yield "status then", status
    yield "unregister all", _unary("SystemSharedMemoryUnregister", pb.SystemSharedMemoryUnregisterRequest())
    yield "status of none left", status
    yield "infer then", infer("copy_FP32", _placed(_place("r", 12)))
    yield "unregister all over HTTP", Http(method="POST", path=f"{_ROOT}/unregister")


def _cuda() -> NamedCalls:
    yield "CUDA status", _unary("CudaSharedMemoryStatus", pb.CudaSharedMemoryStatusRequest())
    yield "CUDA status, HTTP", Http(path="/v2/cudasharedmemory/status")
    yield "CUDA status of one", _unary("CudaSharedMemoryStatus", pb.CudaSharedMemoryStatusRequest(name="x"))
    yield "CUDA status of one, HTTP", Http(path="/v2/cudasharedmemory/region/x/status")
    yield "CUDA unregister", _unary("CudaSharedMemoryUnregister", pb.CudaSharedMemoryUnregisterRequest())
    yield "CUDA unregister of one, HTTP", Http(method="POST", path="/v2/cudasharedmemory/region/x/unregister")
    request = pb.CudaSharedMemoryRegisterRequest(name="x", raw_handle=bytes(64), device_id=0, byte_size=16)
    yield "CUDA register", _unary("CudaSharedMemoryRegister", request)
    body = {"raw_handle": {"b64": "AAAA"}, "device_id": 0, "byte_size": 16}
    yield "CUDA register, HTTP", Http(method="POST", path="/v2/cudasharedmemory/region/x/register", body=body)
