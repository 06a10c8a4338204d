"""Answers kept for requests that come again, within a bound, as `response_cache { enable: true }` asks."""

import asyncio
import hashlib
import struct
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

from npuserve.core.execution import ExecuteRequest, ExecuteResult
from npuserve.core.signature import ModelSignature
from npuserve.core.tensor import Tensor
from npuserve.execution.executor import Executor, single_result
from npuserve.observability.statistics import Duration, ModelStatistics

_ENTRY_BYTES = 512
"""What an entry costs beside its tensors' bytes: its key, its objects; a round number above what was measured."""

_LARGE_BYTES = 256 * 1024
"""What is hashed beside the event loop: more than a small part of a millisecond."""


class ResponseCache:
    """The answers of all models, the least recently used of which give way. Used on the event loop only."""

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._used_bytes = 0
        self._entries: OrderedDict[bytes, tuple[ExecuteResult, int]] = OrderedDict()

    def __repr__(self) -> str:
        return f"<ResponseCache entries={len(self._entries)} bytes={self._used_bytes}/{self._size_bytes}>"

    @property
    def used_bytes(self) -> int:
        """What the entries take, at most the size."""
        return self._used_bytes

    def find(self, key: bytes) -> ExecuteResult | None:
        """Return the answer kept under the key, None if there is none."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def keep(self, key: bytes, result: ExecuteResult) -> None:
        """Keep a copy of the answer; one that is larger than the cache is not kept."""
        size = _ENTRY_BYTES + sum(len(tensor.data) for tensor in result.outputs)
        if key in self._entries or size > self._size_bytes:
            return
        while self._used_bytes + size > self._size_bytes:
            _, (_, freed) = self._entries.popitem(last=False)
            self._used_bytes -= freed
        copy = [replace(tensor, data=bytes(tensor.data)) for tensor in result.outputs]
        self._entries[key] = (ExecuteResult(outputs=copy, parameters=dict(result.parameters)), size)
        self._used_bytes += size


@dataclass(slots=True)
class _Counts:
    """What the cache adds to the counters of the model behind it."""

    hit: Duration = field(default_factory=Duration)
    miss: Duration = field(default_factory=Duration)


class CachingExecutor:
    """An executor whose answers are kept, and that answers without the model what was asked before.

    identity: tells this load of this version apart from every other, so that no answer outlives its model.
    """

    def __init__(self, inner: Executor, cache: ResponseCache, identity: str) -> None:
        self._inner = inner
        self._cache = cache
        self._identity = identity.encode()
        self._counts = _Counts()

    def __repr__(self) -> str:
        return f"<CachingExecutor {self._cache!r} of {self._inner!r}>"

    @property
    def signature(self) -> ModelSignature:
        """What the model says of itself."""
        return self._inner.signature

    @property
    def sink(self) -> None:
        """None: the native front end does not ask the cache."""
        return

    async def execute(self, request: ExecuteRequest) -> ExecuteResult:
        """Answer from the cache, or run the model and keep what it answers; a failure is not kept."""
        started_ns = time.monotonic_ns()
        request = replace(request, inputs=[_unchanging(tensor) for tensor in request.inputs])
        if sum(len(tensor.data) for tensor in request.inputs) > _LARGE_BYTES:
            key = await asyncio.to_thread(_key, self._identity, request)
        else:
            key = _key(self._identity, request)
        found = self._cache.find(key)
        if found is not None:
            self._counts.hit = _add(self._counts.hit, time.monotonic_ns() - started_ns)
            return found
        looked_ns = time.monotonic_ns() - started_ns
        # All outputs are kept, whichever are asked for; what is written elsewhere could not be.
        result = await self._inner.execute(replace(request, outputs=(), destinations={}))
        kept_ns = time.monotonic_ns()
        self._cache.keep(key, result)
        self._counts.miss = _add(self._counts.miss, looked_ns + time.monotonic_ns() - kept_ns)
        return result

    def stream(self, request: ExecuteRequest) -> AsyncIterator[ExecuteResult]:
        """Yield the one result: decoupled models are never cached."""
        return single_result(self, request)

    def statistics(self) -> ModelStatistics:
        """Return the model's counters with the cache's: hits are successes that no execution answered."""
        model, counts = self._inner.statistics(), self._counts
        success = Duration(model.success.count + counts.hit.count, model.success.ns + counts.hit.ns + counts.miss.ns)
        queue = Duration(model.queue.count + counts.hit.count, model.queue.ns)
        return replace(model, success=success, queue=queue, cache_hit=counts.hit, cache_miss=counts.miss)

    async def close(self) -> None:
        """Close the model. What is kept of it is never found again and gives way in time."""
        await self._inner.close()


def _unchanging(tensor: Tensor) -> Tensor:
    """Return the tensor; a copy if it lies in memory that others may write to, such as a client's shared memory.

    A change after the key was made would leave a wrong answer to everybody who asks for what was there before.
    """
    is_own = isinstance(tensor.data, bytes) or tensor.data.readonly
    return tensor if is_own else replace(tensor, data=bytes(tensor.data))


def _key(identity: bytes, request: ExecuteRequest) -> bytes:
    """Return a digest of the model and the inputs; parameters and requested outputs do not count, as in Triton."""
    digest = hashlib.blake2b(digest_size=32)
    _update(digest, identity)
    for tensor in request.inputs:
        _update(digest, tensor.name.encode(), tensor.dtype.value.encode(), _shape(tensor), tensor.data)
    return digest.digest()


def _update(digest: hashlib.blake2b, *parts: bytes | memoryview) -> None:
    """Add a list of parts so that no other list reads the same."""
    digest.update(struct.pack("<I", len(parts)))
    for part in parts:
        digest.update(struct.pack("<Q", len(part)))
        digest.update(part)


def _shape(tensor: Tensor) -> bytes:
    shape: Sequence[int] = tensor.shape
    return struct.pack(f"<{len(shape)}q", *shape)


def _add(duration: Duration, ns: int) -> Duration:
    return Duration(duration.count + 1, duration.ns + ns)
