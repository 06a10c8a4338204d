"""Writes the seeds of the fuzz targets: requests that protobuf encodes, scripts of frames that `h2` makes, and HTTP.

    python tests/fuzz/seeds.py FOLDER

makes FOLDER/infer_codec, FOLDER/connection and FOLDER/http. The steps of a script are those of fuzz_connection.cc.
"""

import gzip
import json
import struct
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path

import h11
from h2.config import H2Configuration
from h2.connection import H2Connection
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from npuserve._proto import inference_pb2 as pb

_TYPED = {
    "BOOL": ("bool_contents", [True, False]),
    "UINT8": ("uint_contents", [1, 255]),
    "UINT16": ("uint_contents", [1, 65535]),
    "UINT32": ("uint_contents", [1, 2**32 - 1]),
    "UINT64": ("uint64_contents", [1, 2**64 - 1]),
    "INT8": ("int_contents", [1, -128]),
    "INT16": ("int_contents", [1, -32768]),
    "INT32": ("int_contents", [1, -(2**31)]),
    "INT64": ("int64_contents", [1, -(2**63)]),
    "FP32": ("fp32_contents", [1.0, float("nan")]),
    "FP64": ("fp64_contents", [1.0, float("inf")]),
    "BYTES": ("bytes_contents", [b"", b"abc"]),
}
_SIZES = {"BOOL": 1, "FP16": 2, "BF16": 2, "FP32": 4, "FP64": 8} | {
    f"{sign}INT{bits}": bits // 8 for sign in ("", "U") for bits in (8, 16, 32, 64)
}
_PREFACE, _ECHO, _STRICT, _NO_END = 1, 2, 4, 8
_INFER = "/inference.GRPCInferenceService/ModelInfer"


def _raw(datatype: str, count: int) -> bytes:
    if datatype == "BYTES":
        return b"".join(struct.pack("<I", length) + b"x" * length for length in range(count))
    return bytes(range(count * _SIZES[datatype]))


def _add(request: pb.ModelInferRequest, name: str, datatype: str, shape: Sequence[int], typed: bool = False) -> None:
    tensor = request.inputs.add(name=name, datatype=datatype, shape=shape)
    if typed:
        field, values = _TYPED[datatype]
        getattr(tensor.contents, field).extend(values)
        return
    count = 1
    for size in shape:
        count *= size
    request.raw_input_contents.append(_raw(datatype, count))


def _refer(parameters: MutableMapping[str, pb.InferParameter], size: int, offset: int) -> None:
    parameters["shared_memory_region"].string_param = "r"
    parameters["shared_memory_byte_size"].int64_param = size
    parameters["shared_memory_offset"].int64_param = offset


def _requests() -> Iterator[pb.ModelInferRequest]:
    for datatype in [*_SIZES, "BYTES"]:
        request = pb.ModelInferRequest(model_name="plain", model_version="1", id="7")
        _add(request, "x", datatype, (2,))
        yield request
        if datatype in _TYPED:
            request = pb.ModelInferRequest(model_name="plain")
            _add(request, "x", datatype, (2,), typed=True)
            yield request

    reshaped = pb.ModelInferRequest(model_name="reshaping", id="é")
    _add(reshaped, "a", "INT32", (3, 2, 4))
    _add(reshaped, "b", "BYTES", (3, 1))
    yield reshaped
    for name in ("e", "c"):
        reshaped.outputs.add(name=name)
    yield reshaped
    reshaped.outputs[0].parameters["classification"].int64_param = 2
    yield reshaped

    wide = pb.ModelInferRequest(model_name="wide")
    for datatype in ("BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64"):
        _add(wide, datatype, datatype, (2, 2))
    for datatype in ("FP16", "FP32", "FP64", "BF16", "BYTES"):
        _add(wide, datatype, datatype, (2, 2))
    wide.outputs.add(name="y").parameters["binary_data"].bool_param = True
    yield wide

    many = pb.ModelInferRequest(model_name="plain")
    _add(many, "x", "FP32", (2,))
    many.parameters["sequence_id"].int64_param = -1
    many.parameters["priority"].uint64_param = 3
    many.parameters["timeout"].int64_param = 1_000_000
    many.parameters["text"].string_param = "text"
    many.parameters["share"].double_param = 0.5
    many.parameters["empty"].SetInParent()
    many.inputs[0].parameters["shared_memory_region"].string_param = "region"
    many.inputs[0].parameters["shared_memory_byte_size"].int64_param = 8
    yield many

    shared = pb.ModelInferRequest(model_name="plain")
    _refer(shared.inputs.add(name="x", datatype="FP32", shape=[4]).parameters, 16, 3)
    _refer(shared.outputs.add(name="y").parameters, 24, 40)
    yield shared
    shared.outputs[0].parameters["shared_memory_byte_size"].int64_param = 23
    yield shared
    shared.inputs[0].parameters["shared_memory_offset"].int64_param = 49
    yield shared


def _codec_seeds() -> Iterator[bytes]:
    for request in _requests():
        yield request.SerializeToString()
    whole = pb.ModelInferRequest(model_name="plain")
    _add(whole, "x", "INT32", (2,), typed=True)
    encoded = whole.SerializeToString()
    # The same list unpacked, a field twice, an unknown field of each wire type, a group, and a cut.
    unpacked = bytes([0x0A, 1]) + b"x" + bytes([0x12, 5]) + b"INT32" + bytes([0x18, 2, 0x2A, 4, 0x10, 1, 0x10, 2])
    yield bytes([0x2A, len(unpacked)]) + unpacked
    yield encoded + encoded
    yield encoded + b"\x98\x06\x01\x9a\x06\x02ab\x9d\x06abcd\x99\x06abcdefgh\x9b\x06\x08\x01\x9c\x06"
    yield encoded[:-1]


def _headers(path: str, metadata: Mapping[str, str]) -> list[tuple[str, str]]:
    return [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("user-agent", "grpc-python/1.71"),
        *((name.replace("_", "-"), value) for name, value in metadata.items()),
    ]


class _Script:
    """A connection's script: what an h2 client says, and what happens around it."""

    def __init__(self, flags: int = 0) -> None:
        self._steps = bytearray([flags])
        self._client = H2Connection(
            H2Configuration(client_side=True, header_encoding=None, validate_outbound_headers=False)
        )
        self._client.initiate_connection()
        if flags & _PREFACE:
            self._client.data_to_send()  # the target sends its own

    def done(self) -> bytes:
        return bytes(self._steps)

    def receive(self, data: bytes | None = None, pieces: int = 1) -> "_Script":
        data = self._client.data_to_send() if data is None else data
        size = -(-len(data) // pieces)
        for start in range(0, len(data), max(size, 1)):
            piece = data[start : start + size]
            self._steps += b"\x00" + struct.pack("<H", len(piece)) + piece
        return self

    def frame(self, frame: Frame) -> "_Script":
        head = frame.serialize()
        payload = head[9:]
        self._steps += bytes([1, head[3], head[4], frame.stream_id]) + struct.pack("<H", len(payload)) + payload
        return self

    def call(self, stream_id: int, path: str = _INFER, **metadata: str) -> "_Script":
        self._client.send_headers(stream_id, _headers(path, metadata))
        return self.receive()

    def message(self, stream_id: int, message: bytes, end: bool = True, compressed: bool = False) -> "_Script":
        how = int(end) + 2 * int(compressed)
        self._steps += bytes([2, stream_id, how]) + struct.pack("<H", len(message)) + message
        return self

    def many(self, frame: Frame, count: int) -> "_Script":
        head = frame.serialize()
        payload = head[9:]
        self._steps += bytes([12, head[3], head[4], frame.stream_id, count]) + struct.pack("<H", len(payload)) + payload
        return self

    def calls(self, count: int, **metadata: str) -> "_Script":
        """So many calls with equal headers, the first of which fills the table that the others point to."""
        self.call(1, **metadata).call(3, **metadata)
        last = self._client.encoder.encode(_headers(_INFER, metadata))
        return self.many(HeadersFrame(5, last, flags=["END_HEADERS"]), count)

    def wait(self, exponent: int) -> "_Script":
        return self._step(3, exponent)

    def wait_until_wake(self) -> "_Script":
        return self._step(4)

    def answer(self, which: int, how: int) -> "_Script":
        return self._step(5, which, how)

    def take(self, about: int = 0xFFFF) -> "_Script":
        return self._step(6, *struct.pack("<H", about))

    def set_writable(self, writable: bool) -> "_Script":
        return self._step(7, int(not writable))

    def release(self) -> "_Script":
        return self._step(8)

    def occupy(self, kib: int) -> "_Script":
        return self._step(9, kib)

    def shut_down(self, hard: bool) -> "_Script":
        return self._step(10, int(hard))

    def zeros(self, stream_id: int, kib: int) -> "_Script":
        return self._step(11, stream_id, kib)

    def _step(self, *values: int) -> "_Script":
        self._steps += bytes(values)
        return self


def _unary() -> Iterator[_Script]:
    yield _Script(_PREFACE | _ECHO).call(1).message(1, b"hello").take()
    yield _Script(_ECHO).call(1).message(1, b"hello").take()
    yield _Script(_ECHO).receive(pieces=7).call(1).receive(b"\0\0\x0a\0\1\0\0\0\1\0\0\0\0\5hello", pieces=9).take()
    for name, compress in (("gzip", gzip.compress), ("deflate", zlib.compress)):
        script = _Script(_PREFACE).call(1, grpc_encoding=name, grpc_accept_encoding="identity, deflate, gzip")
        yield script.message(1, compress(b"hello" * 9), compressed=True).answer(0, 2).answer(0, 7).take()
    yield _Script(_PREFACE | _ECHO).call(1, grpc_encoding="snappy").message(1, b"x", compressed=True).take()
    yield _Script(_PREFACE).call(1, grpc_timeout="5S").message(1, b"hello").wait_until_wake().take()
    yield _Script(_PREFACE).call(1, x_text="value", x_bytes_bin="AAE=", grpc_timeout="9x").answer(0, 4).take()
    yield _Script(_PREFACE).call(1, path="/").answer(0, 6).take()
    for bad in ({"content_type": "text/plain"}, {"x_bytes_bin": "%"}, {"te": "gzip"}):
        yield _Script(_PREFACE | _ECHO).call(1, **bad).message(1, b"hello").take()


def _flow() -> Iterator[_Script]:
    large = _Script(_PREFACE).call(1).frame(_data(1, b"\0\0\1\x90\0")).take()  # a prefix that promises 100 KiB
    for _ in range(7):
        large.zeros(1, 16).take()
    large.answer(0, 0).answer(0, 1).take()
    yield large.frame(WindowUpdateFrame(1, window_increment=70_000)).frame(WindowUpdateFrame(0, 70_000)).take()
    begun = b"\0\0\1\xf4\0"  # a prefix that promises 128,000 bytes
    waiting = _Script(_PREFACE).occupy(190)
    for stream_id in (1, 3, 5, 7, 9):
        waiting.call(stream_id).frame(_data(stream_id, begun))
    yield waiting.take().occupy(0).take().zeros(1, 16).wait_until_wake().take()
    slow = _Script(_PREFACE).call(1).answer(0, 3).take(100).set_writable(False).wait_until_wake()
    yield slow.wait(36).set_writable(True).take()
    stream = _Script(_PREFACE).call(1)
    for turn in range(4):
        stream.message(1, bytes(turn), end=turn == 3).answer(0, 1).answer(0, 0)
    yield stream.answer(0, 7).take()
    yield _Script(_PREFACE | _ECHO).call(1).call(3).message(3, b"b").message(1, b"a").take(20).take(1).release()


def _data(stream_id: int, payload: bytes) -> Frame:
    return DataFrame(stream_id, payload)


def _control() -> Iterator[_Script]:
    for flags in (_PREFACE, _PREFACE | _STRICT, _PREFACE | _STRICT | _ECHO | _NO_END):
        resets = _Script(flags)
        for stream_id in range(1, 15, 2):
            resets.call(stream_id).frame(RstStreamFrame(stream_id, error_code=8))
        yield resets.take().release()
        pings = _Script(flags).call(1)
        for turn in range(5):
            pings.frame(PingFrame(0, bytes(8))).wait(turn)
        yield pings.take()
        yield _Script(flags).call(1).wait_until_wake().take().wait_until_wake().take().wait_until_wake().take()
        yield _Script(flags).call(1).shut_down(False).take().call(3).shut_down(True).answer(0, 7).answer(0, 7).take()
        yield _Script(flags).frame(SettingsFrame(0, settings={1: 0, 4: 10, 5: 20_000})).call(1).answer(0, 3).take()
        yield _Script(flags).frame(GoAwayFrame(0)).call(1).message(1, b"x").answer(0, 1).answer(0, 7).take()
        yield _Script(flags).wait_until_wake().wait(40).take()


def _broken() -> Iterator[_Script]:
    yield _Script().receive(b"GET / HTTP/1.1\r\n\r\n").take()
    yield _Script(_PREFACE).frame(_data(1, b"x")).take()
    yield _Script(_PREFACE).call(1).receive(b"\0\0\1\1\4\0\0\0\3\x80").take()
    yield _Script(_PREFACE).call(1).frame(_data(1, b"\2\0\0\0\1x")).take()
    yield _Script(_PREFACE).call(1).message(1, b"not gzip", compressed=True).take()
    yield _Script(_PREFACE).call(1).frame(_data(1, b"\0\xff\xff\xff\xff")).answer(0, 5).take()
    yield _Script(_PREFACE).call(1, **{f"x_{n}": "y" * 200 for n in range(100)}).take()


def _plenty() -> Iterator[_Script]:
    """What it takes much of: bombs, floods, storms of calls."""
    for zeros in (2_000, 100_000, 1_000_000):
        bomb = _Script(_PREFACE).call(1, grpc_encoding="gzip").message(1, gzip.compress(bytes(zeros)), compressed=True)
        yield bomb.answer(0, 1).answer(0, 7).take()
    full = _Script(_PREFACE).occupy(190).call(1, grpc_encoding="gzip")
    yield full.message(1, gzip.compress(bytes(3_000)), compressed=True).take().occupy(0).take()
    for frame in (_data(1, b""), SettingsFrame(0), WindowUpdateFrame(0, 1), PingFrame(0, bytes(8))):
        yield _Script(_PREFACE).call(1).many(frame, 255).take()
    yield _Script(_PREFACE).many(HeadersFrame(1, b"\x83"), 1).many(ContinuationFrame(1, b""), 2).take()
    for unit in "HmS":
        yield _Script(_PREFACE | _ECHO).calls(255, grpc_timeout=f"7{unit}").wait_until_wake().take(1)
    yield _Script(_PREFACE | _ECHO).call(1, grpc_timeout="0S").message(1, b"late").take()
    many = _Script(_PREFACE)
    for stream_id in range(1, 11, 2):
        many.call(stream_id, grpc_timeout="7S").message(stream_id, b"x").answer(0, 254).take()
    yield many
    after_end = _Script(_PREFACE).call(1).message(1, b"x").message(1, b"y").take()
    yield after_end.call(3).frame(RstStreamFrame(3, 0)).message(3, b"z").take()


def _connection_seeds() -> Iterator[bytes]:
    for scripts in (_unary, _flow, _control, _broken, _plenty):
        for script in scripts():
            yield script.done()


def _http_seeds() -> Iterator[bytes]:
    """Flags, a choice of cuts, then what a client sends; see fuzz_http.cc."""
    for flags in (0, 1, 2, 4, 8, 8 | 16, 4 | 2, 1 | 2 | 8):
        for number, sent in enumerate(_http_requests()):
            yield bytes([flags, number]) + sent


def _http_requests() -> Iterator[bytes]:
    client = h11.Connection(h11.CLIENT)
    host = ("Host", "a")
    for method, target, headers, body in (
        ("GET", "/v2/health/live?q=1", [host], b""),
        ("POST", "/v2/repository/index", [host, ("Content-Length", "14")], b'{"ready":true}'),
        ("PUT", "http://b/p", [host, ("Transfer-Encoding", "chunked"), ("Expect", "100-continue")], b"abcdefgh"),
    ):
        sent = client.send(h11.Request(method=method, target=target, headers=headers)) or b""
        sent += client.send(h11.Data(data=body)) or b"" if body else b""
        yield sent + (client.send(h11.EndOfMessage()) or b"")
        client = h11.Connection(h11.CLIENT)
    get = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    yield get * 5
    yield chunked + b"1\r\na\r\n2;x=y\r\nbc\r\n0\r\nT: 1\r\n\r\n" + get
    yield chunked + b"1\r\nab\r\n"
    yield b"HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n"
    yield b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    yield b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + bytes(2000)
    yield b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n"
    yield b"GET / HTTP/1.1\r\nX: " + b"a" * 2000 + b"\r\n folded\r\n\r\n"
    yield _http_infer("/v2/models/m/infer", {"parameters": {"binary_data_output": True}})
    wanted = [{"name": "y", "parameters": {"binary_data": True}}]
    yield _http_infer("/v2/models/m/versions/1/infer", {"id": "1", "outputs": wanted}) + get


def _http_infer(path: str, more: Mapping[str, object]) -> bytes:
    given = {"name": "x", "shape": [1, 4], "datatype": "FP32", "parameters": {"binary_data_size": 16}}
    text = json.dumps({"inputs": [given], **more}).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nInference-Header-Content-Length: {len(text)}\r\n"
    return f"{head}Content-Length: {len(text) + 16}\r\n\r\n".encode() + text + bytes(16)


def write_seeds(folder: Path) -> None:
    """Write the seeds of each target into a folder of its name."""
    makers: dict[str, Callable[[], Iterator[bytes]]] = {
        "infer_codec": _codec_seeds,
        "connection": _connection_seeds,
        "http": _http_seeds,
    }
    for target, make in makers.items():
        (folder / target).mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(make()):
            (folder / target / f"seed{number:03}").write_bytes(seed)


if __name__ == "__main__":
    write_seeds(Path(sys.argv[1]))
