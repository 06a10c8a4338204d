"""Many clients load, unload and override the same models at once, while others use them and what is built on them."""

import asyncio
import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import grpc.aio
import pytest
from npuserve._proto import inference_pb2 as pb
from support.ensembles import step, tensors
from support.served_models import add_identity_model, copy_config
from support.server import Server, serving

SERVICE = "/inference.GRPCInferenceService/"
WIDTH = 16
CHANGES = 40
MODEL = copy_config("FP32", WIDTH, rest="max_batch_size: 8 dynamic_batching { }")
CACHED = copy_config("FP32", WIDTH, rest="max_batch_size: 8 response_cache { enable: true }")
CHAIN = (
    f'platform: "ensemble" max_batch_size: 8 {tensors("input", ["x"], str(WIDTH))} '
    f"{tensors('output', ['y'], str(WIDTH))} ensemble_scheduling {{ "
    f"{step('copied', {'x': 'x'}, {'y': 'm'})} {step('cached', {'x': 'm'}, {'y': 'y'})} }}"
)
OUTER = CHAIN.replace('"cached"', '"chained"')
NAMES = ("copied", "cached", "chained", "outer")
# What may be said of a model that is being changed.
NOT_NOW = re.compile(
    r"(in ensemble '\w+', )*"
    r"(Request for unknown model: '\w+' (has no available versions|version 1 is not at ready state)"
    r"|(\[request id: [^]]+\] )?Server is stopping)"
)
REFUSED_LOAD = re.compile(
    r"load failed for model '\w+': (ensemble '\w+' depends on '\w+' which has no loaded version"
    r"|version 1 is at UNAVAILABLE state)|failed to load '\w+', failed to poll from model repository"
)


@dataclass
class Seen:
    """What the clients saw."""

    answers: int = 0
    refusals: int = 0
    mistakes: list[str] = field(default_factory=list)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    add_identity_model(tmp_path, "copied", MODEL)
    add_identity_model(tmp_path, "cached", CACHED)
    for name, config in (("chained", CHAIN), ("outer", OUTER)):
        (tmp_path / name / "1").mkdir(parents=True)
        (tmp_path / name / "config.pbtxt").write_text(config)
    flags = ("--model-control-mode=explicit", "--load-model=*", "--cache-config=local,size=1000000")
    with serving(tmp_path, "--allow-metrics=false", "--allow-http=false", *flags) as server:
        yield server


def override_of(rng: random.Random) -> str:
    """A config in place of the file's: a sound one, or one that cannot be loaded."""
    sound: dict[str, object] = {
        "backend": "identity",
        "max_batch_size": 8,
        "input": [{"name": "x", "data_type": "TYPE_FP32", "dims": [WIDTH]}],
        "output": [{"name": "y", "data_type": "TYPE_FP32", "dims": [WIDTH]}],
    }
    wrong: list[dict[str, object]] = [
        {"backend": "none"},
        {"max_batch_size": -1},
        {"input": []},
        {"name": "other"},
        {"nonsense": 1},
    ]
    return rng.choice([json.dumps(sound), json.dumps(sound | rng.choice(wrong)), "{", "[]", "null"])


async def change(channel: grpc.aio.Channel, number: int, seen: Seen) -> None:
    rng = random.Random(number)
    load = channel.unary_unary(SERVICE + "RepositoryModelLoad", pb.RepositoryModelLoadRequest.SerializeToString, None)
    unload = channel.unary_unary(
        SERVICE + "RepositoryModelUnload", pb.RepositoryModelUnloadRequest.SerializeToString, None
    )
    for _ in range(CHANGES):
        name = rng.choice(NAMES)
        if rng.random() < 0.3:
            dropped = pb.RepositoryModelUnloadRequest(model_name=name)
            dropped.parameters["unload_dependents"].bool_param = rng.random() < 0.5
            await unload(dropped, timeout=30)
            continue
        wanted = pb.RepositoryModelLoadRequest(model_name=name)
        if name == "copied" and rng.random() < 0.5:
            wanted.parameters["config"].string_param = override_of(rng)
        try:
            await load(wanted, timeout=30)
        except grpc.aio.AioRpcError as error:
            if not REFUSED_LOAD.match(error.details() or ""):
                seen.mistakes.append(f"load of {name}: {error.code().name} {error.details()}")


def request_of(name: str, identity: str) -> pb.ModelInferRequest:
    content = random.Random(identity).randbytes(4 * WIDTH)
    request = pb.ModelInferRequest(model_name=name, id=identity, raw_input_contents=[content])
    request.inputs.add(name="x", datatype="FP32", shape=[1, WIDTH])
    return request


def check(request: pb.ModelInferRequest, answer: pb.ModelInferResponse, seen: Seen) -> None:
    seen.answers += 1
    if answer.id != request.id or list(answer.raw_output_contents) != list(request.raw_input_contents):
        seen.mistakes.append(f"{request.id} was answered with another content")


async def ask(channel: grpc.aio.Channel, number: int, seen: Seen, is_over: Callable[[], bool]) -> None:
    call = channel.unary_unary(
        SERVICE + "ModelInfer", pb.ModelInferRequest.SerializeToString, pb.ModelInferResponse.FromString
    )
    turn = 0
    while not is_over():
        turn += 1
        # Some come again, and are found in the cache.
        request = request_of(NAMES[turn % len(NAMES)], f"{number} {turn % 50}")
        try:
            check(request, await call(request, timeout=30), seen)
        except grpc.aio.AioRpcError as error:
            seen.refusals += 1
            if not NOT_NOW.match(error.details() or ""):
                seen.mistakes.append(f"{request.model_name}: {error.code().name} {error.details()}")


async def converse(channel: grpc.aio.Channel, number: int, seen: Seen, is_over: Callable[[], bool]) -> None:
    """The same over one stream, which no change of a model may end."""
    call = channel.stream_stream(
        SERVICE + "ModelStreamInfer", pb.ModelInferRequest.SerializeToString, pb.ModelStreamInferResponse.FromString
    )()  # type: ignore[call-arg]  # without requests it is written to
    turn = 0
    while not is_over():
        turn += 1
        request = request_of(NAMES[turn % len(NAMES)], f"stream {number} {turn}")
        await call.write(request)
        answer = await call.read()
        if not isinstance(answer, pb.ModelStreamInferResponse):
            seen.mistakes.append(f"the stream ended: {await call.code()} {await call.details()}")
            return
        if not answer.error_message:
            check(request, answer.infer_response, seen)
        elif not NOT_NOW.match(answer.error_message):
            seen.mistakes.append(f"over the stream, {request.model_name}: {answer.error_message}")
    await call.done_writing()
    call.cancel()


async def test_a_storm_of_changes_harms_no_request_and_leaves_every_model_loadable(server: Server) -> None:
    seen, changers = Seen(), 16
    async with grpc.aio.insecure_channel(server.url) as channel:
        async with asyncio.TaskGroup() as tasks:
            changing = [tasks.create_task(change(channel, number, seen)) for number in range(changers)]
            for number in range(12):
                client = (ask, ask, converse)[number % 3]
                tasks.create_task(client(channel, number, seen, lambda: all(task.done() for task in changing)))
        load = channel.unary_unary(
            SERVICE + "RepositoryModelLoad", pb.RepositoryModelLoadRequest.SerializeToString, None
        )
        for name in NAMES:
            await load(pb.RepositoryModelLoadRequest(model_name=name), timeout=30)
        last = Seen()
        call = channel.unary_unary(
            SERVICE + "ModelInfer", pb.ModelInferRequest.SerializeToString, pb.ModelInferResponse.FromString
        )
        for name in NAMES:
            request = request_of(name, "last")
            check(request, await call(request, timeout=30), last)
    assert seen.mistakes + last.mistakes == []
    assert seen.answers > 100
    assert [line for line in server.lines if "Traceback" in line or "unexpected error" in line] == []
    server.signal()
    assert server.wait() == 0
