import asyncio

import pytest
from npuserve.core.errors import ServeError
from npuserve.core.status import StatusCode
from npuserve.transport.calls import OpenCalls


async def test_the_wait_ends_with_the_last_accepted_call() -> None:
    calls = OpenCalls()
    with calls.open():
        with calls.open():
            calls.refuse_new()
            waiting = asyncio.create_task(calls.wait_until_none())
        await asyncio.sleep(0)
        assert not waiting.done()
        assert calls.count == 1
    await waiting


async def test_without_calls_there_is_nothing_to_wait_for() -> None:
    calls = OpenCalls()
    calls.refuse_new()
    await calls.wait_until_none()


def test_new_calls_are_refused_with_tritons_words() -> None:
    calls = OpenCalls()
    calls.refuse_new()
    with pytest.raises(ServeError) as caught, calls.open():
        raise AssertionError("the call was accepted")
    assert caught.value.status is StatusCode.UNAVAILABLE
    assert caught.value.message == "GRPC server is shutting down and has stopped accepting new requests."
    assert calls.count == 0


def test_a_call_that_fails_is_closed() -> None:
    calls = OpenCalls()
    with pytest.raises(RuntimeError), calls.open():
        raise RuntimeError
    assert calls.count == 0
