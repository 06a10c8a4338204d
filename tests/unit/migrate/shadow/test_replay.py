"""Requests are repeated at a reference, which may refuse, hang, die or never have been there."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import numpy as np
from npuserve._proto import inference_pb2 as pb
from npuserve.migrate.shadow.cases import Cases
from npuserve.migrate.shadow.options import ShadowOptions
from npuserve.migrate.shadow.replay import METHOD, Replay
from npuserve.migrate.shadow.tally import Tally

Handle = Callable[[pb.ModelInferRequest, grpc.aio.ServicerContext[Any, Any]], Any]


def request(model: str = "m") -> bytes:
    return pb.ModelInferRequest(model_name=model).SerializeToString()


def answer(*values: float) -> bytes:
    message = pb.ModelInferResponse(model_name="m")
    message.outputs.add(name="y", datatype="FP32", shape=[1, len(values)])
    message.raw_output_contents.append(np.array(values, np.float32).tobytes())
    return message.SerializeToString()


class Waiting:
    """A queue as the ring is one."""

    def __init__(self, *requests: tuple[bytes, bytes, int, int, bool]) -> None:
        self.requests = list(requests)

    def take(self, most: int) -> list[tuple[bytes, bytes, int, int, bool]]:
        taken, self.requests = self.requests[:most], self.requests[most:]
        return taken


def answered(live: bytes, code: int = 0) -> tuple[bytes, bytes, int, int, bool]:
    return request(), live, 1_000_000, code, False


@asynccontextmanager
async def reference(handle: Handle, address: str = "127.0.0.1:0") -> AsyncIterator[str]:
    class Handler(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # at run time it takes no arguments
        def service(self, details: grpc.HandlerCallDetails) -> Any:
            assert details.method == METHOD
            return grpc.unary_unary_rpc_method_handler(handle, pb.ModelInferRequest.FromString, None)

    server = grpc.aio.server(handlers=[Handler()], options=[("grpc.so_reuseport", 0)])
    port = server.add_insecure_port(address)
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


class Replaying:
    """A replay in the background, and what it has found."""

    def __init__(self, folder: Path, address: str, queue: Waiting, **options: Any) -> None:
        self.queue = queue
        self.tally = Tally()
        self.cases = Cases(folder, most=10, most_bytes=1 << 20)
        self.lines: list[str] = []
        chosen = ShadowOptions(reference=address, **options)
        self.replay = Replay(
            chosen, queue, self.tally, self.cases, lambda level, text: self.lines.append(f"{level}: {text}")
        )
        self.task = asyncio.create_task(self.replay.run())

    @property
    def found(self) -> dict[str, Any]:
        told: dict[str, Any] = self.tally.as_json()["models"].get("m", {})
        return told

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(30):
            while not condition():  # noqa: ASYNC110 - what is waited for is another task's
                await asyncio.sleep(0.01)

    async def stop(self) -> None:
        self.replay.stop()
        await asyncio.wait_for(self.task, 30)


async def same(request: pb.ModelInferRequest, context: Any) -> bytes:
    return answer(1, 2, 3)


async def test_answers_are_compared_and_the_worst_kept(tmp_path: Path) -> None:
    async with reference(same) as address:
        queue = Waiting(answered(answer(1, 2, 3)), answered(answer(3, 2, 1)))
        replaying = Replaying(tmp_path, address, queue, share=0.5)
        await replaying.stop()
    assert replaying.found["mirrored"] == replaying.found["compared"] == 2
    assert replaying.found["disagreed"] == {"cosine": 1}
    assert replaying.found["live"]["mean_ms"] == 1.0
    (case,) = replaying.cases.worst()
    assert (case.folder / "reference.bin").read_bytes() == answer(1, 2, 3)
    assert replaying.lines == [f"info: the reference at {address} is reached"]


async def test_refusals_are_compared_and_failures_counted_apart(tmp_path: Path) -> None:
    endings = {"bad": "INVALID_ARGUMENT", "sick": "INTERNAL", "busy": "UNAVAILABLE"}

    async def refuse(request: pb.ModelInferRequest, context: Any) -> bytes:
        await context.abort(grpc.StatusCode[endings[request.model_name]], "no")
        return b""

    async with reference(refuse) as address:
        queue = Waiting(
            (request("bad"), answer(1), 1, 0, False),
            (request("bad"), b"nor do I", 1, 3, False),
            (request("sick"), answer(1), 1, 0, False),
            (request("sick"), b"so am I", 1, 13, False),
            (request("busy"), answer(1), 1, 0, False),
        )
        replaying = Replaying(tmp_path, address, queue)
        await replaying.stop()
    models = replaying.tally.as_json()["models"]
    assert (models["bad"]["compared"], models["bad"]["disagreed"]) == (2, {"status": 1})
    assert (models["sick"]["compared"], models["sick"]["failed"]) == (1, {"internal": 1})
    assert (models["busy"]["compared"], models["busy"]["failed"]) == (0, {"unavailable": 1})
    assert replaying.cases.worst()[0].detail == "live OK, reference INVALID_ARGUMENT: no"


async def test_requests_wait_for_a_reference_that_is_not_there_yet(tmp_path: Path) -> None:
    async with reference(same) as address:
        pass
    replaying = Replaying(tmp_path, address, Waiting(*[answered(answer(1, 2, 3))] * 5))
    await replaying.until(lambda: replaying.lines)
    assert replaying.lines == [f"warning: the reference at {address} cannot be reached; trying again"]
    assert len(replaying.queue.requests) == 5
    async with reference(same, address):
        await replaying.until(lambda: replaying.found.get("compared") == 5)
        assert replaying.replay.is_up
        await replaying.stop()
    assert replaying.found["failed"] == {}


async def test_stopping_does_not_wait_for_a_reference_that_is_not_there(tmp_path: Path) -> None:
    async with reference(same) as address:
        pass
    replaying = Replaying(tmp_path, address, Waiting(*[answered(answer(1))] * 5), drain_secs=1000)
    await replaying.until(lambda: replaying.lines)
    await replaying.stop()
    assert replaying.tally.unread == 5
    assert not replaying.replay.is_up


async def test_a_reference_that_dies_is_found_again(tmp_path: Path) -> None:
    async with reference(same) as address:
        replaying = Replaying(tmp_path, address, Waiting(answered(answer(1, 2, 3))))
        await replaying.until(lambda: replaying.found.get("compared") == 1)
    replaying.queue.requests.append(answered(answer(1, 2, 3)))
    await replaying.until(lambda: replaying.found["failed"])
    assert replaying.found["failed"] == {"unreachable": 1}
    await replaying.until(lambda: "cannot be reached" in replaying.lines[-1])
    replaying.queue.requests.append(answered(answer(1, 2, 3)))
    async with reference(same, address):
        await replaying.until(lambda: replaying.found["compared"] == 2)
        await replaying.stop()
    assert "is reached after" in replaying.lines[-1]


async def test_a_reference_that_hangs_has_a_few_requests_and_each_for_its_time(tmp_path: Path) -> None:
    counts = {"open": 0, "most": 0}

    async def hang(request: pb.ModelInferRequest, context: Any) -> bytes:
        counts["open"] += 1
        counts["most"] = max(counts.values())
        try:
            await asyncio.sleep(1000)
        finally:
            counts["open"] -= 1
        return b""

    async with reference(hang) as address:
        queue = Waiting(*[answered(answer(1))] * 9)
        replaying = Replaying(tmp_path, address, queue, max_in_flight=3, timeout_secs=0.2)
        await replaying.until(lambda: replaying.found.get("failed", {}).get("deadline_exceeded") == 9)
        await replaying.stop()
    assert counts["most"] <= 3
    assert len([line for line in replaying.lines if "deadline_exceeded" in line]) == 1


async def test_what_is_under_way_when_the_time_is_over_is_given_up(tmp_path: Path) -> None:
    async def hang(request: pb.ModelInferRequest, context: Any) -> bytes:
        await asyncio.sleep(1000)
        return b""

    async with reference(hang) as address:
        queue = Waiting(*[answered(answer(1))] * 9)
        replaying = Replaying(tmp_path, address, queue, max_in_flight=3, drain_secs=0.2)
        await replaying.until(lambda: replaying.found.get("mirrored") == 3)
        await replaying.stop()
    assert replaying.found["failed"] == {"given_up": 3}
    assert replaying.tally.unread == 6


async def test_an_answer_that_cannot_be_read_is_a_failure(tmp_path: Path) -> None:
    async def garbage(request: pb.ModelInferRequest, context: Any) -> bytes:
        return b"\xff\xff"

    async with reference(garbage) as address:
        replaying = Replaying(tmp_path, address, Waiting(answered(answer(1))))
        await replaying.stop()
    assert replaying.found["failed"] == {"unreadable": 1}


async def test_the_head_carries_what_the_reference_wants(tmp_path: Path) -> None:
    keys = []

    async def look(request: pb.ModelInferRequest, context: Any) -> bytes:
        keys.append(dict(context.invocation_metadata())["key"])
        return answer(1)

    async with reference(look) as address:
        replaying = Replaying(tmp_path, address, Waiting(answered(answer(1))), fields=(("key", "secret"),))
        await replaying.stop()
    assert keys == ["secret"]
