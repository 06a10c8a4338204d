"""The corpus of the differential test: calls under their names, with the status that each must end with."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest
from support.calls import CallCase
from support.infer_requests import pair_request
from support.judged_requests import ACCEPTED, CONTENTS, INVALID, LOOKUP, input_parameters, output_parameters
from tritonclient.grpc import service_pb2

SERVICE = "/inference.GRPCInferenceService/"
INFER = SERVICE + "ModelInfer"
REFLECTION = "/grpc.reflection.{}.ServerReflection/ServerReflectionInfo"
LARGE_BYTES = 16 * 2**20
MALFORMED = b"\xff\xff\xff"
UNICODE = "naïve 模型 🚀 %41"

# Calls that say the same to any client that asks nothing of them.
EMPTY = {
    **dict.fromkeys(("SystemSharedMemoryStatus", "SystemSharedMemoryUnregister"), "OK"),
    **dict.fromkeys(("CudaSharedMemoryStatus", "CudaSharedMemoryUnregister"), "OK"),
    **dict.fromkeys(("SystemSharedMemoryRegister", "CudaSharedMemoryRegister"), "INVALID_ARGUMENT"),
    **dict.fromkeys(("RepositoryModelLoad", "RepositoryModelUnload"), "UNAVAILABLE"),
}


def _ordered(response: type[Message], data: bytes) -> bytes:
    """A response with its maps in a fixed order."""
    return response.FromString(data).SerializeToString(deterministic=True)


def _call(method: str, *requests: Message, code: str = "OK", stream: bool = False) -> CallCase:
    return CallCase(
        method=SERVICE + method,
        requests=tuple(request.SerializeToString() for request in requests),
        code=code,
        stream=stream,
    )


def _unary_calls() -> Iterator[tuple[str, CallCase]]:
    pb = service_pb2
    yield "live", _call("ServerLive", pb.ServerLiveRequest())
    yield "ready", _call("ServerReady", pb.ServerReadyRequest())
    yield "model ready", _call("ModelReady", pb.ModelReadyRequest(name="pair"))
    yield "version ready", _call("ModelReady", pb.ModelReadyRequest(name="pair", version="1"))
    yield "unknown model ready", _call("ModelReady", pb.ModelReadyRequest(name="nope"))
    yield (
        "no number ready",
        _call("ModelReady", pb.ModelReadyRequest(name="pair", version="x"), code="INVALID_ARGUMENT"),
    )
    yield "server metadata", _call("ServerMetadata", pb.ServerMetadataRequest())
    for kind, request in (("ModelMetadata", pb.ModelMetadataRequest), ("ModelConfig", pb.ModelConfigRequest)):
        for model in ("pair", "fixed", "tokens"):
            yield f"{kind} of {model}", _call(kind, request(name=model))
        yield f"{kind} of a version", _call(kind, request(name="pair", version="1"))
        yield f"{kind} of an unknown version", _call(kind, request(name="pair", version="9"), code="NOT_FOUND")
        yield f"{kind} of an unknown model", _call(kind, request(name=UNICODE), code="NOT_FOUND")
        yield f"{kind} of nothing", _call(kind, request(), code="NOT_FOUND")
    statistics = pb.ModelStatisticsRequest
    yield "statistics of an idle model", _call("ModelStatistics", statistics(name="idle"))
    yield (
        "statistics of an unknown model",
        _call("ModelStatistics", statistics(name="nope"), code="INVALID_ARGUMENT"),
    )
    for service in ("", "no.such.Service"):
        check = health_pb2.HealthCheckRequest(service=service).SerializeToString()
        yield f"health of '{service}'", CallCase(method="/grpc.health.v1.Health/Check", requests=(check,))
    settings: list[tuple[str, type[Message]]] = [
        ("TraceSetting", pb.TraceSettingResponse),
        ("LogSettings", pb.LogSettingsResponse),
    ]
    for name, response in settings:
        yield f"{name} of nothing", CallCase(method=SERVICE + name, comparable=partial(_ordered, response))
    for name, code in EMPTY.items():
        yield f"{name} of nothing", CallCase(method=SERVICE + name, code=code)


def _paths() -> Iterator[tuple[str, CallCase]]:
    for path in (SERVICE + "Nope", "/no.such.Service/Method", "/nothing", "/", "/a/b/c", SERVICE, INFER + "/"):
        for stream in (False, True):
            yield (
                f"path {path}, stream {stream}",
                CallCase(method=path, code="UNIMPLEMENTED", stream=stream, ends_early=stream),
            )
    yield "unknown path with a large message", CallCase(method="/a/b", requests=(bytes(2**20),), code="UNIMPLEMENTED")


def _malformed() -> Iterator[tuple[str, CallCase]]:
    for name in ("ServerLive", "ModelReady", "ModelMetadata", "ModelConfig", "ModelStatistics", "ModelInfer"):
        yield f"{name} malformed", CallCase(method=SERVICE + name, requests=(MALFORMED,), code="INTERNAL")
    yield (
        "RepositoryIndex malformed",
        CallCase(method=SERVICE + "RepositoryIndex", requests=(MALFORMED,), code="INTERNAL"),
    )
    whole = pair_request().SerializeToString()
    for cut in (1, 7, len(whole) // 2, len(whole) - 1):
        yield f"ModelInfer cut at {cut}", CallCase(method=INFER, requests=(whole[:cut],), code="INTERNAL")
    yield (
        "ModelInfer with text that is no UTF-8",
        CallCase(method=INFER, requests=(b"\x0a\x02\xc3\x28",), code="INTERNAL"),
    )
    yield "ModelInfer with unknown fields", CallCase(method=INFER, requests=(whole + b"\xf8\x7f\x01\xfa\x7f\x03abc",))
    yield "ModelInfer in two merged halves", CallCase(method=INFER, requests=(b"\x0a\x04nope" + whole,))
    yield "ModelInfer of group wire type", CallCase(method=INFER, requests=(whole + b"\xfb\x7f\xfc\x7f",))
    yield "ModelInfer with an open group", CallCase(method=INFER, requests=(whole + b"\xfb\x7f",), code="INTERNAL")
    yield "ModelInfer with field number 0", CallCase(method=INFER, requests=(whole + b"\x00\x01",), code="INTERNAL")
    yield "ModelInfer of a wrong wire type", CallCase(method=INFER, requests=(b"\x08\x01" + whole,))
    yield "ModelInfer empty", CallCase(method=INFER, code="NOT_FOUND")
    for version in ("v1", "v1alpha"):
        yield (
            f"reflection {version} malformed",
            CallCase(method=REFLECTION.format(version), requests=(MALFORMED,), code="INTERNAL", stream=True),
        )


def _infer_calls() -> Iterator[tuple[str, CallCase]]:
    for name, (request, code, _) in LOOKUP.items():
        yield f"lookup: {name}", _call("ModelInfer", request, code=code)
    for name, (request, _) in INVALID.items():
        yield f"invalid: {name}", _call("ModelInfer", request, code="INVALID_ARGUMENT")
    for name, request in ACCEPTED.items():
        yield f"accepted: {name}", _call("ModelInfer", request)
    for make in (input_parameters, output_parameters):
        request = make(shared_memory_region="r", shared_memory_byte_size=64)
        yield f"{make.__name__}: unknown region", _call("ModelInfer", request, code="NOT_FOUND")
    yield "classification", _call("ModelInfer", output_parameters(classification=2))
    for model in (UNICODE, "é" * 20_000, "%" * 3000, "a" * 20_000, "tab\tline\nnul\0del\x7f"):
        name = f"unknown model {model[:20]!r}"
        yield name, _call("ModelInfer", pair_request(model_name=model), code="NOT_FOUND")
    yield "request id in unicode", _call("ModelInfer", pair_request(id=UNICODE))
    yield (
        "refusal with an id in unicode",
        _call("ModelInfer", pair_request(("INPUT0", "FP32", (1, 16)), id=UNICODE), code="INVALID_ARGUMENT"),
    )
    yield "long request id", _call("ModelInfer", pair_request(id="i" * 100_000))
    yield from _shaped_calls()


def _shaped_calls() -> Iterator[tuple[str, CallCase]]:
    """Calls that ask for some outputs, and of many shapes."""
    for outputs in (("OUTPUT0",), ("OUTPUT1",), ("OUTPUT1", "OUTPUT0")):
        request = pair_request(raw=[bytes(range(64)), bytes(range(64, 128))], id="q")
        for output in outputs:
            request.outputs.add(name=output)
        yield f"outputs {', '.join(outputs)}", _call("ModelInfer", request)
    for rows in (1, 3, 8):
        tensors = [(f"INPUT{index}", "INT32", (rows, 16)) for index in range(2)]
        contents = [bytes(range(64)) * rows, bytes(range(64, 128)) * rows]
        yield f"{rows} rows", _call("ModelInfer", pair_request(*tensors, raw=contents))
    for length in (1, 8, 13, 16, 17):
        request = service_pb2.ModelInferRequest(model_name="tokens")
        for name in ("input_ids", "attention_mask"):
            request.inputs.add(name=name, datatype="INT64", shape=(2, length))
            request.raw_input_contents.append(bytes(8 * 2 * length))
        code = "OK" if length <= 16 else "INVALID_ARGUMENT"
        yield f"tokens of length {length}", _call("ModelInfer", request, code=code)
    unbatched = pair_request(("INPUT0", "FP32", (2, 3)), model_name="fixed")
    yield "without a batch dimension", _call("ModelInfer", unbatched)


@dataclass(frozen=True)
class _Copied:
    """A dtype that the copying models take: its size, and typed contents (field, values at the edges of the field)."""

    size_bytes: int
    field: str | None = None
    values: tuple[float, ...] = ()


COPIED = {
    "BOOL": _Copied(1, "bool_contents", (True, False, True)),
    "INT8": _Copied(1, "int_contents", (-128, 127, 300)),
    "INT16": _Copied(2, "int_contents", (-32768, 32767, 70_000)),
    "INT32": _Copied(4, "int_contents", (-(2**31), 2**31 - 1, -1)),
    "INT64": _Copied(8, "int64_contents", (-(2**63), 2**63 - 1, -1)),
    "UINT8": _Copied(1, "uint_contents", (0, 255, 300)),
    "UINT16": _Copied(2, "uint_contents", (0, 65535, 70_000)),
    "UINT32": _Copied(4, "uint_contents", (0, 2**32 - 1, 1)),
    "UINT64": _Copied(8, "uint64_contents", (0, 2**64 - 1, 1)),
    "FP16": _Copied(2, "fp32_contents", (float("nan"), 65520.0, 1 + 2**-11)),
    "BF16": _Copied(2, "fp32_contents", (float("nan"), 3.4e38, 1 + 2**-8)),
    "FP32": _Copied(4, "fp32_contents", (float("nan"), float("-inf"), 1e-45)),
    "FP64": _Copied(8, "fp64_contents", (float("nan"), float("-inf"), 5e-324)),
}


def _dtypes() -> Iterator[tuple[str, CallCase]]:
    for dtype, copied in COPIED.items():
        tensor = ("x", dtype, (1, 3))
        model = f"copy_{dtype}"
        raw = [bytes(range(0x70, 0x70 + 3 * copied.size_bytes))]
        yield f"{dtype} raw", _call("ModelInfer", pair_request(tensor, model_name=model, raw=raw))
        yield (
            f"{dtype} raw too short",
            _call("ModelInfer", pair_request(tensor, model_name=model, raw=[raw[0][1:]]), code="INVALID_ARGUMENT"),
        )
        for field in ("bytes_contents", *sorted({other.field for other in COPIED.values() if other.field})):
            value: object = b"abc" if field == "bytes_contents" else 1
            values = copied.values if field == copied.field else (value,) * 3
            request = pair_request(tensor, model_name=model, raw=[])
            getattr(request.inputs[0].contents, field).extend(values)
            code = "OK" if field == copied.field else "INVALID_ARGUMENT"
            yield f"{dtype} in {field}", _call("ModelInfer", request, code=code)
    for dtype in ("BYTES", "INT4", "fp32", "TYPE_FP32"):
        request = pair_request(("x", dtype, (1, 3)), model_name="copy_FP32", raw=[b"\x01\0\0\0a" * 3])
        yield f"{dtype} to an FP32 model", _call("ModelInfer", request, code="INVALID_ARGUMENT")


def _large() -> Iterator[tuple[str, CallCase]]:
    """16 MiB in and out."""
    contents = bytes(range(256)) * (LARGE_BYTES // 256)
    request = pair_request(("x", "FP32", (LARGE_BYTES // 4,)), model_name="large", raw=[contents])
    yield "large", _call("ModelInfer", request)
    yield "large, compressed", replace(_call("ModelInfer", request), compression=grpc.Compression.Gzip)
    unknown = pair_request(model_name="nope", raw=[contents])
    yield "large to an unknown model", _call("ModelInfer", unknown, code="NOT_FOUND")
    request.raw_input_contents[0] += b"\0"
    yield "large by a byte too long", _call("ModelInfer", request, code="INVALID_ARGUMENT")


def _message_counts() -> Iterator[tuple[str, CallCase]]:
    """Unary methods that are called as streaming ones.

    With no message at all grpc.aio never answers, so there is nothing to agree with; tests of the wire have that case.
    """
    infer = pair_request().SerializeToString()
    for name, message in (("ServerLive", b""), ("ModelInfer", infer), ("RepositoryIndex", b"")):
        path = SERVICE + name
        yield f"one message to {name} on a stream", CallCase(method=path, requests=(message,), stream=True)
        yield (
            f"two messages to {name}",
            CallCase(method=path, requests=(message,) * 2, stream=True, ends_early=True),
        )


def _streams() -> Iterator[tuple[str, CallCase]]:
    ask = ServerReflectionRequest
    requests = [
        ask(host="h", list_services=""),
        ask(file_by_filename="inference.proto"),
        ask(file_containing_symbol="inference.GRPCInferenceService.ModelInfer"),
        ask(all_extension_numbers_of_type="inference.ModelConfig"),
        ask(file_by_filename=UNICODE),
        ask(file_containing_extension={"containing_type": "inference.ModelConfig", "extension_number": 7}),
        ask(),
    ]
    for version in ("v1", "v1alpha"):
        path = REFLECTION.format(version)
        messages = tuple(request.SerializeToString() for request in requests)
        yield f"reflection {version}", CallCase(method=path, requests=messages, stream=True)
        yield f"reflection {version} of no message", CallCase(method=path, requests=(), stream=True)
        yield f"reflection {version} of 500 messages", CallCase(method=path, requests=messages[:1] * 500, stream=True)
        yield f"reflection {version} as a unary call", CallCase(method=path, requests=messages[:1])
        yield (
            f"reflection {version} that fails in the middle",
            CallCase(
                method=path,
                requests=(*messages[:2], MALFORMED, *messages[2:]),
                stream=True,
                code="INTERNAL",
                ends_early=True,
            ),
        )
    for count in (0, 1, 3):
        yield (
            f"ModelStreamInfer of {2 * count} messages",
            CallCase(
                method=SERVICE + "ModelStreamInfer",
                requests=(pair_request(id="s").SerializeToString(), b"") * count,
                stream=True,
            ),
        )


def _metadata() -> Iterator[tuple[str, CallCase]]:
    infer = (pair_request(id="m").SerializeToString(),)
    kinds: dict[str, tuple[tuple[str, str | bytes], ...]] = {
        "many keys": tuple((f"key-{index}", f"value {index}") for index in range(100)),
        "one key many times": (("key", "a"), ("key", "b"), ("key", "a")),
        "binary": (("trace-bin", bytes(range(256))), ("empty-bin", b""), ("trace-bin", b"\x00,\xff")),
        "all printable": (("key", "".join(map(chr, range(0x20, 0x7F))).strip()),),
        "empty value": (("key", ""),),
        "tracing": (("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),),
        "odd key": (("0-9_a.z", "value"),),
    }
    for name, metadata in kinds.items():
        yield f"metadata: {name}", CallCase(method=INFER, requests=infer, metadata=metadata)
        yield f"metadata to Python: {name}", CallCase(method=SERVICE + "ServerLive", metadata=metadata)
    too_large = tuple((f"key-{index}", "x" * 1000) for index in range(40))
    # The sizes count the digits of the client's timeout; behind them grpc-core lists the headers in a form of its own.
    yield (
        "metadata: over the limit",
        CallCase(method=INFER, requests=infer, metadata=too_large, code="RESOURCE_EXHAUSTED", details_end=" ("),
    )


def _compressed() -> Iterator[tuple[str, CallCase]]:
    ask = ServerReflectionRequest(list_services="").SerializeToString()
    for compression in (grpc.Compression.Gzip, grpc.Compression.Deflate):
        messages = {
            "ModelInfer": (INFER, pair_request(id="compressed" * 50).SerializeToString(), "OK"),
            "a refusal": (INFER, CONTENTS["raw missing"][0].SerializeToString(), "INVALID_ARGUMENT"),
            "malformed": (INFER, MALFORMED, "INTERNAL"),
            "an empty message": (SERVICE + "ServerLive", b"", "OK"),
            "a large unknown path": ("/a/b", bytes(2**20), "UNIMPLEMENTED"),
        }
        for name, (path, message, code) in messages.items():
            yield (
                f"{compression.name}: {name}",
                CallCase(method=path, requests=(message,), compression=compression, code=code),
            )
        yield (
            f"{compression.name}: reflection",
            CallCase(method=REFLECTION.format("v1"), requests=(ask,) * 20, stream=True, compression=compression),
        )


CORPUS: dict[str, CallCase] = {
    name: case
    for family in (
        _unary_calls,
        _paths,
        _malformed,
        _infer_calls,
        _dtypes,
        _large,
        _message_counts,
        _streams,
        _metadata,
        _compressed,
    )
    for name, case in family()
}
