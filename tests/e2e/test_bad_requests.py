"""Ten thousand bad requests of every kind among good ones: the good ones are unharmed, and so is the server."""

import asyncio
import gzip
import json
import mmap
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import grpc.aio
import numpy as np
import onnx
import pytest
import tritonclient.utils.shared_memory as shm
from npuserve._proto import inference_pb2 as pb
from onnx import TensorProto, helper
from support.ensembles import step, tensors
from support.judged_requests import INVALID, LOOKUP
from support.models import graph_input, onnx_model
from support.served_models import add_identity_model, add_model, copy_config
from support.server import Server, serving

BAD = 10_000
CLIENTS = 24
PER_KIND = BAD // (5 * CLIENTS)
WIDTH = 16
SERVICE = "/inference.GRPCInferenceService/"
HEAD = "Inference-Header-Content-Length"
MODELS = ("copied", "chained")
GROWTH_KIB = 48 * 1024

MODEL = copy_config("FP32", WIDTH, rest="max_batch_size: 8 dynamic_batching { }")
TEXT = 'backend: "onnxruntime" ' + copy_config("STRING", -1, rest="max_batch_size: 4")
WORDS = onnx_model(
    [helper.make_node("Identity", ["x"], ["y"])],
    [graph_input("x", TensorProto.STRING, ["n", "k"])],
    [graph_input("y", TensorProto.STRING, ["n", "k"])],
)
IN_SEQUENCE = copy_config("FP32", WIDTH, rest="max_batch_size: 8 sequence_batching { }")
CHAIN = (
    f'platform: "ensemble" max_batch_size: 8 {tensors("input", ["x"], str(WIDTH))} '
    f"{tensors('output', ['y'], str(WIDTH))} ensemble_scheduling {{ "
    f"{step('copied', {'x': 'x'}, {'y': 'm'})} {step('copied', {'x': 'm'}, {'y': 'y'})} }}"
)


@dataclass
class Report:
    """What went otherwise than it should, and how many bad requests were refused."""

    mistakes: list[str] = field(default_factory=list)
    refused: int = 0
    good: int = 0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    repository = tmp_path_factory.mktemp("repository")
    add_model(repository, "pair")
    add_identity_model(repository, "copied", MODEL)
    (repository / "words" / "1").mkdir(parents=True)
    (repository / "words" / "config.pbtxt").write_text(TEXT)
    onnx.save(WORDS, str(repository / "words" / "1" / "model.onnx"))
    add_identity_model(repository, "told", IN_SEQUENCE)
    (repository / "chained" / "1").mkdir(parents=True)
    (repository / "chained" / "config.pbtxt").write_text(CHAIN)
    with serving(repository, "--allow-metrics=false") as server:
        yield server


# --- Good requests.


def content_of(identity: str) -> bytes:
    return random.Random(identity).randbytes(4 * WIDTH)


def good_message(identity: str) -> pb.ModelInferRequest:
    model = random.Random(identity).choice(MODELS)
    request = pb.ModelInferRequest(model_name=model, id=identity, raw_input_contents=[content_of(identity)])
    request.inputs.add(name="x", datatype="FP32", shape=[1, WIDTH])
    return request


def check(report: Report, identity: str, answered: pb.ModelInferResponse) -> None:
    report.good += 1
    if answered.id != identity or list(answered.raw_output_contents) != [content_of(identity)]:
        report.mistakes.append(f"{identity} was answered with {answered.id}'s content")


# --- Bad ones, over gRPC.


def edited(rng: random.Random, **fields: str) -> pb.ModelInferRequest:
    """A sound request, to be spoilt."""
    request = good_message(str(rng.random()))
    request.id = fields.get("id", "bad")
    request.model_name = fields.get("model_name", "copied")
    return request


def huge_shape(rng: random.Random) -> pb.ModelInferRequest:
    request = edited(rng)
    sizes = [2**31, 2**62, 2**63 - 1, -1, 0]
    request.inputs[0].shape[:] = rng.choices(sizes, k=rng.choice([1, 2, 3, 500]))
    return request


def wrong_dtype(rng: random.Random) -> pb.ModelInferRequest:
    request = edited(rng)
    request.inputs[0].datatype = rng.choice(["INT32", "BYTES", "FP16", "", "nope", "INT4" * 1000])
    return request


def wrong_size(rng: random.Random) -> pb.ModelInferRequest:
    request = edited(rng)
    size = rng.choice([0, 1, 4 * WIDTH - 1, 4 * WIDTH + 1, 100_000])
    request.raw_input_contents[0] = bytes(size)
    return request


def broken_text(rng: random.Random) -> pb.ModelInferRequest:
    request = edited(rng, model_name="words")
    request.inputs[0].datatype = "BYTES"
    request.inputs[0].shape[:] = [1, 2]
    request.raw_input_contents[0] = rng.choice([b"\xff\xff\xff\xff", b"\1\0\0\0a", b"\1\0\0\0a\5\0\0\0a", b"\1"])
    return request


def no_sequence(rng: random.Random) -> pb.ModelInferRequest:
    request = edited(rng, model_name="told")
    if rng.random() < 0.5:
        request.parameters["sequence_id"].int64_param = rng.randrange(1, 1000)
    return request


def nowhere(rng: random.Random) -> pb.ModelInferRequest:
    request = edited(rng)
    del request.raw_input_contents[:]
    parameters = request.inputs[0].parameters
    parameters["shared_memory_region"].string_param = rng.choice(["region", "no such region", ""])
    parameters["shared_memory_byte_size"].int64_param = rng.choice([-1, 0, 2**63 - 1, mmap.PAGESIZE + 1])
    parameters["shared_memory_offset"].int64_param = rng.choice([-1, 0, 8, 2**63 - 1])
    return request


def written_nowhere(rng: random.Random) -> pb.ModelInferRequest:
    request = edited(rng)
    parameters = request.outputs.add(name="y").parameters
    parameters["shared_memory_region"].string_param = "region"
    parameters["shared_memory_byte_size"].int64_param = rng.choice([1, 4 * WIDTH - 1])
    return request


def judged(rng: random.Random) -> pb.ModelInferRequest:
    """One of those that Triton was seen to refuse."""
    cases = [*(case[0] for case in INVALID.values()), *(case[0] for case in LOOKUP.values())]
    return pb.ModelInferRequest.FromString(rng.choice(cases).SerializeToString())


BAD_MESSAGES: list[Callable[[random.Random], pb.ModelInferRequest]] = [
    *(huge_shape, wrong_dtype, wrong_size, broken_text, no_sequence, nowhere, written_nowhere),
    *(judged, judged, judged),
]


async def grpc_client(server: Server, number: int, report: Report) -> None:
    rng = random.Random(number)
    async with grpc.aio.insecure_channel(server.url) as channel:
        call = channel.unary_unary(SERVICE + "ModelInfer", None, None)
        for turn in range(PER_KIND):
            bad = rng.choice(BAD_MESSAGES)(rng).SerializeToString()
            if turn % 10 == 0:
                bad = bytes([0xFF]) + rng.randbytes(30)
            try:
                await call(bad, timeout=30)
                report.mistakes.append(f"accepted over gRPC: {bad[:300]!r}")
            except grpc.aio.AioRpcError as error:
                report.refused += 1
                # Only what cannot be read, and an output that does not fit, is INTERNAL, as in Triton.
                is_internal = error.code() in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)
                if is_internal and not re.search("Unable to parse request|should be at least", error.details() or ""):
                    report.mistakes.append(f"{error.code().name} {error.details()}: {bad[:300]!r}")
            if turn % 4 == 0:
                identity = f"grpc {number} {turn}"
                answer = await call(good_message(identity).SerializeToString(), timeout=30)
                check(report, identity, pb.ModelInferResponse.FromString(answer))


async def stream_client(server: Server, number: int, report: Report) -> None:
    rng = random.Random(1000 + number)
    sent: list[pb.ModelInferRequest] = []
    for turn in range(PER_KIND):
        sent.append(rng.choice(BAD_MESSAGES)(rng))
        sent[-1].id = f"bad {turn}"
        if turn % 4 == 0:
            sent.append(good_message(f"stream {number} {turn}"))

    async def requests() -> AsyncIterator[pb.ModelInferRequest]:
        for request in sent:
            yield request

    async with grpc.aio.insecure_channel(server.url) as channel:
        call = channel.stream_stream(
            SERVICE + "ModelStreamInfer",
            pb.ModelInferRequest.SerializeToString,
            pb.ModelStreamInferResponse.FromString,
        )
        answers = [answer async for answer in call(requests(), timeout=60)]
    if [answer.infer_response.id for answer in answers] != [request.id for request in sent]:
        report.mistakes.append(f"stream {number} has {len(answers)} answers to {len(sent)} requests, or in disorder")
    for request, answer in zip(sent, answers, strict=False):
        if not request.id.startswith("bad"):
            check(report, request.id, answer.infer_response)
        elif answer.error_message and "unexpected error" not in answer.error_message:
            report.refused += 1
        else:
            report.mistakes.append(f"over the stream: {answer.error_message!r} for {str(request)[:300]}")


# --- Bad ones, over HTTP.


def post(body: bytes, *headers: str, path: str = "/v2/models/copied/infer", length: int | None = None) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: h", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join((*lines, "", "")).encode() + body


def document(**changes: object) -> bytes:
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, WIDTH], "data": [0.5] * WIDTH} | changes
    return json.dumps({"inputs": [tensor]}).encode()


def bad_json(rng: random.Random) -> bytes:
    sound = document()
    return post(
        rng.choice(
            [
                sound[: rng.randrange(1, len(sound))],
                b"[" * rng.choice([50, 101, 5_000, 100_000]),
                b'{"inputs":' + b"[" * 200 + b"1" + b"]" * 200 + b"}",
                rng.randbytes(300),
                b'{"inputs": [{"name": "x", "shape": [1' + b"0" * 6000 + b"]}]}",
                document(data=[[[["a"]]]]),
                document(data=[1] * (WIDTH + 1)),
                document(data={"a": 1}),
                document(shape=[2**63, 2**63]),
                document(shape=[-1, 1]),
                document(shape="16"),
                document(datatype="FP16"),
                document(datatype=7),
                document(name=None),
                b"null",
                b'{"inputs": {}}',
                b'{"id": 7, "inputs": []}',
                b"",
            ]
        )
    )


def bad_binary(rng: random.Random) -> bytes:
    size = rng.choice([0, 1, 4 * WIDTH, 2**62])
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, WIDTH], "parameters": {"binary_data_size": size}}
    head = json.dumps({"inputs": [tensor]}).encode()
    given = bytes(rng.choice([3, 4 * WIDTH + 1, 10_000]))
    length = rng.choice([str(len(head)), "-5", "abc", "9" * 5000, str(len(head) - 1), str(2**62), ""])
    return post(head + given, f"{HEAD}: {length}")


def bad_encoding(rng: random.Random) -> bytes:
    packed = gzip.compress(document(), mtime=0)
    return rng.choice(
        [
            post(packed[: rng.randrange(len(packed) - 9)], "Content-Encoding: gzip"),
            post(rng.randbytes(100), "Content-Encoding: gzip"),
            post(packed, "Content-Encoding: deflate"),
            post(packed, "Content-Encoding: br"),
            post(gzip.compress(b"[" * 10_000_000, 9), "Content-Encoding: gzip"),
        ]
        if rng.random() < 0.02
        else [post(packed[:20], "Content-Encoding: gzip"), post(packed, "Content-Encoding: br")]
    )


def bad_path(rng: random.Random) -> bytes:
    paths = [
        "/v2/models//infer",
        "/v2/models/nope/infer",
        "/v2/models/copied/versions/7/infer",
        "/" * 100,
        "/%00%ff%zz",
    ]
    paths += [
        "/v2/models/copied/versions/99999999999999999999/infer",
        "/v2/models/copied/infer/",
        "/v2/models/told/infer",
    ]
    return post(document(), path=rng.choice(paths))


BAD_POSTS: list[Callable[[random.Random], bytes]] = [bad_json, bad_json, bad_binary, bad_encoding, bad_path]
BAD_ENDS: list[Callable[[random.Random], bytes]] = [
    lambda rng: post(document(), length=len(document()) + rng.randrange(1, 10_000)),
    lambda rng: post(b"", length=-1),
    lambda rng: post(b"", "Transfer-Encoding: chunked"),
    lambda rng: post(document(), "Content-Length: 3"),
    lambda rng: rng.randbytes(200),
    lambda rng: b"POST /v2/models/copied/infer HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    lambda rng: b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 5000,
]


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    found = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
    assert found is not None, head
    return int(head.split(b" ")[1]), await reader.readexactly(int(found[1]))


async def connect(server: Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = server.http_url.rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    try:
        await writer.wait_closed()
    except OSError:
        return  # the server has let go of it first


async def http_client(server: Server, number: int, report: Report) -> None:
    rng = random.Random(2000 + number)
    reader, writer = await connect(server)
    for turn in range(2 * PER_KIND):
        bad = rng.choice(BAD_POSTS)(rng)
        writer.write(bad)
        status, body = await read_answer(reader)
        report.refused += status >= 400
        if status < 400 or (status == 500 and b"unexpected error" in body):
            report.mistakes.append(f"{status} {body[:200]!r} over HTTP: {bad[:400]!r}")
        if turn % 4 == 0:
            await good_post(reader, writer, f"http {number} {turn}", report)
    await close(writer)


async def good_post(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, identity: str, report: Report) -> None:
    values = np.frombuffer(random.Random(identity).randbytes(4 * WIDTH), np.uint8)[:WIDTH].astype(float).tolist()
    body = json.dumps(
        {"id": identity, "inputs": [{"name": "x", "datatype": "FP32", "shape": [1, WIDTH], "data": values}]}
    ).encode()
    model = random.Random(identity).choice(MODELS)
    writer.write(post(body, path=f"/v2/models/{model}/infer"))
    status, answer = await read_answer(reader)
    report.good += 1
    parsed = json.loads(answer)
    if status != 200 or parsed["id"] != identity or parsed["outputs"][0]["data"] != values:
        report.mistakes.append(f"{identity} was answered {status} {answer[:200]!r}")


async def breaking_client(server: Server, number: int, report: Report) -> None:
    """Sends what cannot be answered on a connection that goes on, and leaves."""
    rng = random.Random(3000 + number)
    for _ in range(PER_KIND):
        _, writer = await connect(server)
        writer.write(rng.choice(BAD_ENDS)(rng))
        await close(writer)
        report.refused += 1


def resident_kib(server: Server) -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1])


KINDS: list[Callable[[Server, int, Report], Awaitable[None]]] = [
    *(grpc_client, stream_client, http_client, breaking_client),
]


async def load(server: Server, clients: range) -> Report:
    report = Report()
    async with asyncio.TaskGroup() as tasks:
        for number in clients:
            for kind in KINDS:
                tasks.create_task(kind(server, number, report))  # type: ignore[arg-type]  # they are coroutines
    return report


async def test_good_requests_among_bad_ones_are_answered_rightly_and_nothing_is_left_behind(server: Server) -> None:
    handle = shm.create_shared_memory_region("region", "/npuserve_bad_requests", mmap.PAGESIZE)
    try:
        async with grpc.aio.insecure_channel(server.url) as channel:
            register = channel.unary_unary(SERVICE + "SystemSharedMemoryRegister", None, None)
            await register(
                pb.SystemSharedMemoryRegisterRequest(
                    name="region", key="/npuserve_bad_requests", byte_size=mmap.PAGESIZE
                ).SerializeToString()
            )
        first = await load(server, range(CLIENTS // 4))
        before_kib = resident_kib(server)
        rest = await load(server, range(CLIENTS // 4, CLIENTS))
        after_kib = resident_kib(server)
    finally:
        shm.destroy_shared_memory_region(handle)
    assert first.mistakes + rest.mistakes == []
    assert first.refused + rest.refused >= BAD - 5 * CLIENTS
    assert first.good + rest.good > BAD / 6
    assert after_kib - before_kib < GROWTH_KIB
    assert {line.split("] ")[-1] for line in server.lines if line.startswith("E") or "Traceback" in line} == set()
