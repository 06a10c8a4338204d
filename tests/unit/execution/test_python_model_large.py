"""Batches for Python models that are so large that a thread copies them while the event loop goes on."""

import asyncio
import errno
import gc
import os
import signal
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from npuserve.core.dtype import Dtype
from npuserve.core.errors import ServeError
from npuserve.core.execution import ExecuteRequest
from npuserve.core.status import StatusCode
from npuserve.core.tensor import Tensor
from npuserve.execution.python_model.channel import Buffer
from npuserve.execution.python_model.process import WorkerProcess
from support.python_models import CONFIG, ECHO, loaded, model_source, request, values_of

LARGE = np.arange(1 << 20, dtype=np.float32)
PID = "return [pb_utils.InferenceResponse([pb_utils.Tensor('O', np.float32([[os.getpid()]]))]) for _ in requests]"
Encoded = tuple[bytes, list[int]]

encode = WorkerProcess.encode


@pytest.fixture
def copying(monkeypatch: pytest.MonkeyPatch) -> list[threading.Thread]:
    """Note which thread encodes what is encoded apart from being sent."""
    threads: list[threading.Thread] = []

    def noted(process: WorkerProcess, kind: str, value: object, tensors: Sequence[Buffer] = ()) -> Encoded:
        threads.append(threading.current_thread())
        return encode(process, kind, value, tensors)

    monkeypatch.setattr(WorkerProcess, "encode", noted)
    return threads


class Copy:
    """A copy of a large batch that is made, and then held until the test lets it go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._may_go = threading.Event()
        monkeypatch.setattr(WorkerProcess, "encode", lambda *arguments: self._held(encode(*arguments)))

    def let_go(self) -> None:
        self._may_go.set()

    def _held(self, encoded: Encoded) -> Encoded:
        self._loop.call_soon_threadsafe(self.made.set)
        self._may_go.wait()
        return encoded


def no_memory(process: WorkerProcess, kind: str, value: object, tensors: Sequence[Buffer] = ()) -> Encoded:
    raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))


def open_files() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_a_large_batch_arrives_whole_and_is_copied_beside_the_loop(
    tmp_path: Path, copying: list[threading.Thread]
) -> None:
    async with loaded(tmp_path, model_source(ECHO)) as executor:
        assert values_of(await executor.execute(request([1.0]))) == [1.0]
        assert copying == []
        for turn in range(3):
            answer = await executor.execute(request(LARGE + turn))
            assert np.array_equal(np.frombuffer(answer.outputs[0].data, np.float32), LARGE + turn)
    assert len(copying) == 3
    assert threading.main_thread() not in copying


async def test_small_requests_that_make_a_large_batch_are_copied_beside_the_loop_too(
    tmp_path: Path, copying: list[threading.Thread]
) -> None:
    config = CONFIG + "dynamic_batching { preferred_batch_size: [8] max_queue_delay_microseconds: 60000000 }"
    async with loaded(tmp_path, model_source(ECHO), config) as executor:
        parts = [LARGE[: 1 << 16] + number for number in range(8)]
        answers = await asyncio.gather(*(executor.execute(request(part)) for part in parts))
        assert [values_of(answer) for answer in answers] == [part.tolist() for part in parts]
    assert len(copying) == 1


async def test_the_loop_goes_on_while_a_batch_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = CONFIG + "instance_group [{ count: 2 kind: KIND_CPU }]"
    async with loaded(tmp_path, model_source(ECHO), config) as executor:
        copy = Copy(monkeypatch)
        large = asyncio.create_task(executor.execute(request(LARGE)))
        await copy.made.wait()
        # The other instance answers meanwhile.
        assert values_of(await executor.execute(request([2.0]))) == [2.0]
        assert not large.done()
        copy.let_go()
        assert values_of(await large) == LARGE.tolist()


async def test_a_process_that_dies_while_its_batch_is_copied_leaves_an_error_and_no_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = open_files()
    async with loaded(tmp_path, model_source(PID)) as executor:
        pid = int(values_of(await executor.execute(request()))[0])
        with monkeypatch.context() as patched:
            copy = Copy(patched)
            dying = asyncio.create_task(executor.execute(request(LARGE)))
            await copy.made.wait()
            os.kill(pid, signal.SIGKILL)
            with pytest.raises(ServeError, match=r"Stub process 'm_0' is not healthy\."):
                await dying
            following = int(values_of(await executor.execute(request()))[0])
            assert following != pid
            copy.let_go()
        # The thread's work is over when the next large batch has been copied by it or beside it.
        assert int(values_of(await executor.execute(request(LARGE)))[0]) == following
        assert executor.statistics().failures.backend == 1
    del executor, dying  # with the blocks that the process would use again
    assert open_files() == before


async def test_a_request_that_is_given_up_while_it_is_copied_leaves_the_instance_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with loaded(tmp_path, model_source(ECHO)) as executor:
        copy = Copy(monkeypatch)
        given_up = asyncio.create_task(executor.execute(request(LARGE)))
        await copy.made.wait()
        given_up.cancel()
        await asyncio.wait([given_up])
        copy.let_go()
        assert values_of(await executor.execute(request([3.0]))) == [3.0]


async def test_a_batch_for_which_there_is_no_memory_fails_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with loaded(tmp_path, model_source(ECHO)) as executor:
        with monkeypatch.context() as patched:
            patched.setattr(WorkerProcess, "encode", no_memory)
            with pytest.raises(ServeError) as caught:
                await executor.execute(request(LARGE))
        assert caught.value.status is StatusCode.INTERNAL
        assert caught.value.message == "cannot pass a batch to 'm_0': Cannot allocate memory"
        assert values_of(await executor.execute(request(LARGE))) == LARGE.tolist()
        assert executor.statistics().failures.backend == 1


async def test_a_batch_for_which_there_was_no_memory_takes_none_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = LARGE.reshape(1, -1).copy()
    told = weakref.ref(sent)
    monkeypatch.setattr(WorkerProcess, "encode", no_memory)
    async with loaded(tmp_path, model_source(ECHO)) as executor:
        refused = executor.execute(ExecuteRequest(inputs=[Tensor("I", Dtype.FP32, sent.shape, sent.data)]))
        assert [type(answer) for answer in await asyncio.gather(refused, return_exceptions=True)] == [ServeError]
        del sent, refused
        assert values_of(await executor.execute(request([1.0]))) == [1.0]
        gc.collect()
        assert told() is None
