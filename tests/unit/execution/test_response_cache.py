"""The cache on an executor that counts how often it is asked."""

import asyncio
import hashlib
import threading
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.core.dtype import Dtype
from npuserve.core.errors import ServeError
from npuserve.core.execution import ExecuteRequest, ExecuteResult
from npuserve.core.signature import ModelSignature, TensorSpec
from npuserve.core.tensor import Tensor
from npuserve.execution.response_cache import CachingExecutor, ResponseCache
from support.identity_backend import IdentityExecutor

SIGNATURE = ModelSignature((TensorSpec("x", Dtype.UINT8, (-1,)),), (TensorSpec("y", Dtype.UINT8, (-1,)),), ())
ROOM = 100_000


def model() -> IdentityExecutor:
    return IdentityExecutor(SIGNATURE, ModelConfig())


def request(content: bytes, name: str = "x", **rest: Any) -> ExecuteRequest:
    return replace(ExecuteRequest(inputs=[Tensor(name, Dtype.UINT8, (len(content),), content)]), **rest)


def answer(result: ExecuteResult) -> bytes:
    return bytes(result.outputs[0].data)


async def test_a_request_that_comes_again_does_not_reach_the_model() -> None:
    inner = model()
    cached = CachingExecutor(inner, ResponseCache(ROOM), "m/1")
    assert [answer(await cached.execute(request(b"abc", id=str(turn)))) for turn in range(3)] == [b"abc"] * 3
    assert inner.requests == 1


@pytest.mark.parametrize("other", [{"outputs": ("y",)}, {"parameters": {"a": 1}}, {"id": "other"}])
async def test_requested_outputs_and_parameters_make_no_other_request(other: dict[str, Any]) -> None:
    inner = model()
    cached = CachingExecutor(inner, ResponseCache(ROOM), "m/1")
    await cached.execute(replace(request(b"abc"), **other))
    await cached.execute(request(b"abc"))
    assert inner.requests == 1


@pytest.mark.parametrize(
    "other",
    [
        request(b"abd"),
        ExecuteRequest(inputs=[Tensor("x", Dtype.UINT8, (3, 1), b"abc")]),
        ExecuteRequest(inputs=[Tensor("x", Dtype.INT8, (3,), b"abc")]),
        request(b"abc", name="z"),
    ],
    ids=["content", "shape", "dtype", "name"],
)
async def test_whatever_changes_the_answer_is_another_request(other: ExecuteRequest) -> None:
    inner = model()
    cached = CachingExecutor(inner, ResponseCache(ROOM), "m/1")
    await cached.execute(request(b"abc"))
    await cached.execute(other)
    assert inner.requests == 2


async def test_models_do_not_answer_for_each_other() -> None:
    cache, first, second = ResponseCache(ROOM), model(), model()
    await CachingExecutor(first, cache, "m/1").execute(request(b"abc"))
    await CachingExecutor(second, cache, "m/2").execute(request(b"abc"))
    assert (first.requests, second.requests) == (1, 1)


async def test_hits_and_misses_are_counted_as_triton_counts_them() -> None:
    cached = CachingExecutor(model(), ResponseCache(ROOM), "m/1")
    for content in (b"a", b"a", b"b", b"a"):
        await cached.execute(request(content))
    counted = cached.statistics()
    assert (counted.cache_hit.count, counted.cache_miss.count) == (2, 2)
    assert counted.success.count == counted.queue.count + 2 == 4
    assert counted.inference_count == 2


async def test_a_failure_is_not_kept() -> None:
    inner = model()
    cached = CachingExecutor(inner, ResponseCache(ROOM), "m/1")
    inner.close_calls = 1
    with pytest.raises(ServeError):
        await cached.execute(request(b"abc"))
    inner.close_calls = 0
    assert answer(await cached.execute(request(b"abc"))) == b"abc"


async def test_memory_that_changes_while_the_model_runs_spoils_no_answer() -> None:
    memory = bytearray(b"abc")
    cached = CachingExecutor(model(), ResponseCache(ROOM), "m/1")
    first = asyncio.create_task(cached.execute(replace(request(b"abc"), inputs=[changing(memory)])))
    await asyncio.sleep(0)  # the model has the request now
    memory[:] = b"xyz"
    assert answer(await first) == b"abc"
    assert answer(await cached.execute(request(b"abc"))) == b"abc"


def changing(memory: bytearray) -> Tensor:
    return Tensor("x", Dtype.UINT8, (len(memory),), memoryview(memory))


@pytest.mark.parametrize(("size", "is_beside"), [(1000, False), (1 << 20, True)])
async def test_much_content_is_hashed_beside_the_loop(
    monkeypatch: pytest.MonkeyPatch, size: int, is_beside: bool
) -> None:
    threads: list[threading.Thread] = []
    blake2b = hashlib.blake2b

    def noting(**options: Any) -> object:
        threads.append(threading.current_thread())
        return blake2b(**options)

    monkeypatch.setattr(hashlib, "blake2b", noting)
    await CachingExecutor(model(), ResponseCache(ROOM), "m/1").execute(request(bytes(size)))
    assert [thread is not threading.main_thread() for thread in threads] == [is_beside]


def kept(size: int) -> ExecuteResult:
    return ExecuteResult(outputs=[Tensor("y", Dtype.UINT8, (size,), bytes(size))])


def test_what_is_kept_does_not_change_with_the_memory_it_came_from() -> None:
    memory = bytearray(b"abc")
    cache = ResponseCache(ROOM)
    cache.keep(b"key", ExecuteResult(outputs=[Tensor("y", Dtype.UINT8, (3,), memoryview(memory))]))
    memory[:] = b"xyz"
    found = cache.find(b"key")
    assert found is not None
    assert answer(found) == b"abc"


def test_the_least_recently_used_gives_way() -> None:
    cache = ResponseCache(5000)
    for key in (b"1", b"2", b"3"):
        cache.keep(key, kept(1000))
    assert cache.find(b"1") is not None
    cache.keep(b"4", kept(1000))
    assert [key for key in (b"1", b"2", b"3", b"4") if cache.find(key) is not None] == [b"1", b"3", b"4"]


@given(st.integers(0, 5000), st.lists(st.tuples(st.binary(min_size=1, max_size=1), st.integers(0, 3000))))
def test_the_cache_never_takes_more_than_its_size(size: int, answers: list[tuple[bytes, int]]) -> None:
    cache = ResponseCache(size)
    for key, length in answers:
        cache.keep(key, kept(length))
        assert 0 <= cache.used_bytes <= size
