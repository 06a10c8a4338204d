"""Repeats mirrored requests at the reference and compares what it says."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from npuserve._proto import inference_pb2 as pb
from npuserve.core.status import StatusCode
from npuserve.migrate.shadow.answers import classified, inflated, outputs_of
from npuserve.migrate.shadow.cases import Cases, Exchange
from npuserve.migrate.shadow.compare import Difference, compare_outputs, compare_statuses
from npuserve.migrate.shadow.options import ShadowOptions
from npuserve.migrate.shadow.tally import Tally

if TYPE_CHECKING:
    from npuserve._load import MirroredRequest

METHOD = "/inference.GRPCInferenceService/ModelInfer"

# The ring is asked so often while it is empty: the server, which must not wait for anything, wakes nobody.
_IDLE_SECONDS = 0.02
# Longer than a connection takes that can be had.
_PATIENCE_SECONDS = 2.0
_QUIET_SECONDS = 30.0
# What says more of the server's state than of the request.
_FAILURES = frozenset(
    {"CANCELLED", "UNKNOWN", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED", "INTERNAL", "UNAVAILABLE"}
)
# The channel itself tries to connect again, later each time.
_CHANNEL = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 30_000),
    ("grpc.enable_retries", 0),
)

Tell = Callable[[str, str], None]
"""Writes a line to the server's log: level and text."""


class Queue(Protocol):
    """Where mirrored requests wait: a MirrorReader."""

    def take(self, most: int) -> "list[MirroredRequest]":
        """Take up to so many, oldest first."""
        ...


_Call: TypeAlias = "grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]"


@dataclass(frozen=True, slots=True)
class _Answer:
    """How a request ended at the reference: code, what a refusal says, the answer's message."""

    code: str
    text: str
    message: bytes


class Replay:
    """Takes requests from a queue until it is told to stop. Used on one event loop."""

    def __init__(self, options: ShadowOptions, queue: Queue, tally: Tally, cases: Cases, tell: Tell) -> None:
        self._options = options
        self._queue = queue
        self._tally = tally
        self._cases = cases
        self._tell = tell
        self._stopping = asyncio.Event()
        self._open: set[asyncio.Task[None]] = set()
        self._lost = False
        self._told_failure = -_QUIET_SECONDS
        self.is_up = False

    def stop(self) -> None:
        """Take no more than what is queued now, and give that up after `drain_secs`."""
        self._stopping.set()

    async def run(self) -> None:
        """Repeat requests until the ring is empty after `stop`."""
        async with grpc.aio.insecure_channel(self._options.reference, options=_CHANNEL) as channel:
            repeating = asyncio.create_task(self._repeat(channel))
            await self._stopped_or(repeating)
            await asyncio.wait({repeating}, timeout=self._options.drain_secs)
            working = {repeating, *self._open}
            for task in working:
                task.cancel()
            ended = await asyncio.gather(*working, return_exceptions=True)
        while given_up := self._queue.take(1000):
            self._tally.unread += len(given_up)
        for error in ended:
            if isinstance(error, Exception):
                raise error

    async def _stopped_or(self, other: Awaitable[object], seconds: float | None = None) -> None:
        """Wait until `stop`, until the other is done, or until the time is over."""
        stopped = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({stopped, asyncio.ensure_future(other)}, timeout=seconds, return_when="FIRST_COMPLETED")
        stopped.cancel()

    async def _repeat(self, channel: grpc.aio.Channel) -> None:
        # `bytes` of bytes are the same bytes.
        call = channel.unary_unary(METHOD, bytes, bytes)
        self._lost = True
        while True:
            if self._lost:
                await self._reach(channel)
            room = self._options.max_in_flight - len(self._open)
            taken = self._queue.take(room) if room else []
            for request in taken:
                task = asyncio.create_task(self._one(channel, call, request))
                self._open.add(task)
                task.add_done_callback(self._ended)
            if taken:
                # One wake-up for what has been answered, not one for each.
                await asyncio.sleep(0)
            elif self._open:
                await asyncio.wait(self._open, timeout=_IDLE_SECONDS, return_when="FIRST_COMPLETED")
            elif self._stopping.is_set():
                return
            else:
                await asyncio.sleep(_IDLE_SECONDS)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._open.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._tell("error", f"a request could not be compared: {error!r}")

    async def _reach(self, channel: grpc.aio.Channel) -> None:
        """Wait until the reference can be reached; requests wait in the ring, as long as it has room."""
        began, told = time.monotonic(), False
        while (state := channel.get_state(try_to_connect=True)) is not grpc.ChannelConnectivity.READY:
            waited = time.monotonic() - began
            if not told and (state is grpc.ChannelConnectivity.TRANSIENT_FAILURE or waited > _PATIENCE_SECONDS):
                self._tell("warning", f"the reference at {self._options.reference} cannot be reached; trying again")
                told = True
            changing = asyncio.create_task(channel.wait_for_state_change(state))
            if told:
                await self._stopped_or(changing, _PATIENCE_SECONDS)
            else:
                await asyncio.wait({changing}, timeout=_PATIENCE_SECONDS)
            changing.cancel()
            if told and self._stopping.is_set():
                raise asyncio.CancelledError
        after = f" after {time.monotonic() - began:.0f} s" if told else ""
        self._tell("info", f"the reference at {self._options.reference} is reached{after}")
        self._lost, self.is_up = False, True

    async def _one(self, channel: grpc.aio.Channel, call: _Call, given: "MirroredRequest") -> None:
        message, live, live_ns, live_code, is_compressed = given
        try:
            request = pb.ModelInferRequest.FromString(message)
        except DecodeError:  # the server has read it, so this does not happen
            return
        model = request.model_name
        self._tally.sent(model)
        began = time.monotonic_ns()
        try:
            reference = await self._ask(call, message)
        except asyncio.CancelledError:
            self._tally.failed(model, "given_up")
            raise
        taken_ns = time.monotonic_ns() - began
        live_name = StatusCode(live_code).name
        failure = self._failure(channel, reference, live_name)
        if failure:
            self._fail(model, failure, reference.text)
            return
        try:
            live = inflated(live) if is_compressed else live
            found = self._compared(request, (live_name, live), reference)
        except ValueError as error:
            self._fail(model, "unreadable", str(error))
            return
        self._tally.compared(model, found, live_ns, taken_ns)
        self._keep(Exchange(model, message, live, reference.message or reference.text.encode()), found)

    async def _ask(self, call: _Call, message: bytes) -> _Answer:
        try:
            answer = await call(message, timeout=self._options.timeout_secs, metadata=self._options.fields)
        except grpc.aio.AioRpcError as error:
            return _Answer(error.code().name, error.details() or "", b"")
        return _Answer("OK", "", answer)

    def _failure(self, channel: grpc.aio.Channel, reference: _Answer, live: str) -> str:
        """Return why the reference's ending says nothing; "" if it is one to compare."""
        if reference.code == "UNAVAILABLE" and channel.get_state() is not grpc.ChannelConnectivity.READY:
            self._lost, self.is_up = True, False
            return "unreachable"
        return reference.code.lower() if reference.code in _FAILURES and reference.code != live else ""

    def _compared(self, request: pb.ModelInferRequest, live: tuple[str, bytes], reference: _Answer) -> Difference:
        """Compare two endings. Raises ValueError if an answer cannot be read."""
        if live[0] != "OK" or reference.code != "OK":
            text = "" if live[0] == "OK" else live[1].decode(errors="replace")
            return compare_statuses((live[0], text), (reference.code, reference.text))
        limits = self._options.limits
        return compare_outputs(outputs_of(live[1]), outputs_of(reference.message), limits, classified(request))

    def _fail(self, model: str, reason: str, text: str) -> None:
        self._tally.failed(model, reason)
        now = time.monotonic()
        if reason != "unreachable" and now - self._told_failure >= _QUIET_SECONDS:
            self._told_failure = now
            self._tell("warning", f"the reference failed to answer for model '{model}': {reason}: {text}")

    def _keep(self, exchange: Exchange, found: Difference) -> None:
        try:
            self._cases.offer(exchange, found)
        except OSError as error:
            now = time.monotonic()
            if now - self._told_failure >= _QUIET_SECONDS:
                self._told_failure = now
                self._tell("warning", f"a case cannot be kept: {error}")
