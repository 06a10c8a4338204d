"""One instance of a Python model: hands batches to its process, and its answers to whom they belong."""

import asyncio
import logging
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from npuserve.core.dtype import Dtype
from npuserve.core.errors import ServeError
from npuserve.core.execution import ExecuteResult
from npuserve.core.request import ParameterValue
from npuserve.core.status import StatusCode
from npuserve.core.tensor import Tensor
from npuserve.execution.caller import ModelCaller
from npuserve.execution.open_request import AnsweredError, Execution, OpenRequest
from npuserve.execution.python_model.calls import STATUS_OF_CODE, answer_call, as_bytes
from npuserve.execution.python_model.channel import Buffer, Message, offsets
from npuserve.execution.python_model.metrics import CustomMetrics
from npuserve.execution.python_model.process import FINALIZE_SECONDS, WorkerProcess
from npuserve.execution.scheduling import Ended

_log = logging.getLogger(__name__)

_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR, "verbose": logging.DEBUG}
_COPIED_AT_ONCE_BYTES = 1 << 20
"""More is copied for the process in a thread: the loop would stand still for longer than a thread costs."""
_RESERVED = frozenset({"sequence_id", "sequence_start", "sequence_end", "priority", "timeout", "binary_data_output"})


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceOptions:
    """What an instance runs.

    name: as Triton names it, `model_0`. path: `model.py`. arguments: what `initialize` gets. outputs: of the config.
    interpreter: "" for the server's own. execute_timeout_s: None for no limit.
    """

    name: str
    path: Path
    arguments: Mapping[str, str]
    outputs: tuple[str, ...]
    is_decoupled: bool = False
    interpreter: str = ""
    execute_timeout_s: float | None = None


@dataclass(slots=True)
class _Run:
    """The execution that the process is at. timer: ends it when it takes too long."""

    execution: Execution
    ended: Ended
    timer: asyncio.TimerHandle | None = None


class PythonInstance:
    """An OpenRunner over a worker process, which is started again when it dies."""

    def __init__(self, options: InstanceOptions, caller: ModelCaller, metrics: CustomMetrics) -> None:
        self._options = options
        self._caller = caller
        self._metrics = metrics
        self._process = WorkerProcess(self._received, self._ended)
        self._keys = 0
        self._open: dict[int, OpenRequest] = {}
        self._running: _Run | None = None
        self._reply: asyncio.Future[Message] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._restarting: asyncio.Task[None] | None = None
        self._is_closing = False

    def __repr__(self) -> str:
        return f"<PythonInstance {self._options.name} pid={self._process.pid} open={len(self._open)}>"

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self._process.pid

    def _worker_pid(self) -> int:
        return self._process.pid

    @property
    def _labels(self) -> tuple[tuple[str, str], ...]:
        arguments = self._options.arguments
        return (
            ("model", arguments["model_name"]),
            ("version", arguments["model_version"]),
            ("instance", self._options.name),
        )

    async def start(self) -> None:
        """Start the process and initialize the model. Raises ServeError: INTERNAL with what the model raised."""
        options = self._options
        process = WorkerProcess(self._received, self._ended)
        try:
            await process.start(options.interpreter, options.path, options.path.parent.name)
        except OSError as error:
            raise ServeError(
                StatusCode.INTERNAL, f"cannot start the process of '{options.name}': {error.strerror}"
            ) from error
        self._process = process
        try:
            failure, _ = await self._ask("initialize", (dict(options.arguments), options.outputs, options.is_decoupled))
        except BaseException:
            await process.stop()
            raise
        if failure is not None:
            await process.stop()
            raise ServeError(StatusCode.INTERNAL, failure)
        self._metrics.watch_process(self._labels, self._worker_pid)

    def run(self, batch: Sequence[OpenRequest], execution: Execution, ended: Ended) -> None:
        """Run a batch; see OpenRunner.run."""
        if self._restarting is None and self._process.is_alive:
            self._begin(batch, execution, ended)
        else:
            self._own(self._begin_when_revived(batch, execution, ended))

    async def _begin_when_revived(self, batch: Sequence[OpenRequest], execution: Execution, ended: Ended) -> None:
        try:
            await self._revive()
        except ServeError as error:
            ended(error)
        else:
            self._begin(batch, execution, ended)

    def _begin(self, batch: Sequence[OpenRequest], execution: Execution, ended: Ended) -> None:
        self._running = _Run(execution, ended)
        if self._options.execute_timeout_s is not None:
            loop = asyncio.get_running_loop()
            self._running.timer = loop.call_later(self._options.execute_timeout_s, self._late)
        described, contents = self._describe(batch)
        if sum(map(len, contents)) > _COPIED_AT_ONCE_BYTES:
            self._own(self._send_large(self._process, self._running, described, contents))
            return
        execution.gathered_ns = time.monotonic_ns()
        try:
            self._process.send("execute", described, contents)
        except OSError as error:
            self._cannot_send(self._running, described, error)
        self._watch_cancellations(described)

    async def _send_large(
        self, process: WorkerProcess, run: _Run, described: Sequence[tuple[Any, ...]], contents: Sequence[Buffer]
    ) -> None:
        """Send a batch whose copying would hold up the loop."""
        try:
            encoded = await asyncio.to_thread(process.encode, "execute", described, contents)
        except OSError as error:
            self._cannot_send(run, described, error)
            return
        run.execution.gathered_ns = time.monotonic_ns()
        process.send_encoded(*encoded)
        self._watch_cancellations(described)

    def _cannot_send(self, run: _Run, described: Sequence[tuple[Any, ...]], error: OSError) -> None:
        for key, *_ in described:
            self._open.pop(key, None)
        text = f"cannot pass a batch to '{self._options.name}': {error.strerror}"
        _log.error("%s", text)
        if self._running is run:
            self._end_run(ServeError(StatusCode.INTERNAL, text))

    def _watch_cancellations(self, described: Sequence[tuple[Any, ...]]) -> None:
        """Tell the model of requests that are given up: not before it has them."""
        for key, *_ in described:
            if (open_request := self._open.get(key)) is not None:
                open_request.when_cancelled(partial(self._process.send, "cancel", key))

    def _end_run(self, error: Exception | None) -> None:
        """Tell of the end of what runs, if anything does."""
        run, self._running = self._running, None
        if run is None:
            return
        if run.timer is not None:
            run.timer.cancel()
        run.ended(error)

    def _own(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Let the model finalize, and end its process."""
        self._is_closing = True
        self._metrics.forget_process(self._labels, self._worker_pid)
        if self._restarting is not None:
            await asyncio.wait([self._restarting])
        if self._process.is_alive:
            try:
                async with asyncio.timeout(FINALIZE_SECONDS):
                    failure, _ = await self._ask("finalize", None)
            except (TimeoutError, ServeError) as error:
                failure = str(error) or "it took too long"
            if failure is not None:
                _log.error("'%s' failed to finalize: %s", self._options.name, failure)
        await self._process.wait(FINALIZE_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _revive(self) -> None:
        """Return when the process takes requests. Raises ServeError if it cannot be started again."""
        if self._restarting is not None:
            await asyncio.wait([self._restarting])
        if self._process.is_alive:
            return
        try:
            await self.start()
        except ServeError as error:
            _log.error("cannot start '%s' again: %s", self._options.name, error.message)
            raise self._unhealthy() from error

    async def _restart(self) -> None:
        await self._process.stop()
        try:
            await self.start()
            _log.info("'%s' was started again", self._options.name)
        except ServeError as error:
            # The next request tries once more, and is told.
            _log.error("cannot start '%s' again: %s", self._options.name, error.message)
        finally:
            self._restarting = None

    def _unhealthy(self) -> ServeError:
        return ServeError(StatusCode.INTERNAL, f"Stub process '{self._options.name}' is not healthy.")

    async def _ask(self, kind: str, value: object) -> tuple[str | None, Any]:
        """Send a message that is answered once: what failed, if anything, and the result."""
        self._reply = asyncio.get_running_loop().create_future()
        self._process.send(kind, value)
        try:
            reply: Any = (await self._reply).value
        finally:
            self._reply = None
        return reply[0], reply[1]

    def _describe(self, batch: Sequence[OpenRequest]) -> tuple[list[tuple[Any, ...]], list[Buffer]]:
        """Return what the message of a batch says of its requests (see Worker), and the contents of their inputs."""
        described: list[tuple[Any, ...]] = []
        contents: list[Buffer] = []
        for each in batch:
            self._keys += 1
            key = self._keys
            self._open[key] = each
            inputs = []
            request = each.request
            for tensor in request.inputs:
                content = as_bytes(tensor.data)
                contents.append(content)
                inputs.append((tensor.name, tensor.dtype.value, tensor.shape, len(content)))
            fields = _fields(request.parameters) if request.parameters else None
            described.append((key, request.id, request.outputs, inputs, fields))
        return described, contents

    def _late(self) -> None:
        """Start the process again, which takes too long; its requests are told."""
        timeout_s = self._options.execute_timeout_s or 0.0
        text = f"'{self._options.name}' did not execute within {timeout_s * 1000:.0f} ms, its process is started again"
        _log.error("%s", text)
        error = ServeError(StatusCode.INTERNAL, text)
        self._finish_all(error)
        self._restarting = asyncio.create_task(self._restart())
        self._end_run(error)

    def _received(self, message: Message) -> None:
        value: Any = message.value
        match message.kind:
            case "done" | "failed":
                self._executed(message)
            case "abandoned":
                self._failed(*value)
            case "response":
                self._answered([value], message)
            case "call":
                self._start_call(message)
            case "log":
                _log.log(_LEVELS.get(value[0], logging.INFO), "%s: %s", self._options.name, value[1])
            case "family":
                self._metrics.declare(*value)
            case "metric":
                self._metrics.change(*value)
            case _:
                if self._reply is not None and not self._reply.done():
                    self._reply.set_result(message)

    def _executed(self, message: Message) -> None:
        run = self._running
        if run is None:
            return
        run.execution.executed_ns = time.monotonic_ns()
        value: Any = message.value
        # Whoever waits for the answers learns of them in the loop's next turn, when the execution is counted.
        if message.kind == "done":
            self._answered(value[1], message)
        else:
            self._failed(value[0], value[1])
        self._end_run(None)

    def _answered(self, answers: Sequence[tuple[int, Any, bool]], message: Message) -> None:
        sizes = [size for _, wired, _ in answers if wired is not None for *_, size in wired[2]]
        starts = iter(offsets(sizes)[0])
        for key, wired, is_final in answers:
            open_request = self._open.pop(key, None) if is_final else self._open.get(key)
            outputs = [] if wired is None else _outputs(wired[2], message, starts)
            if open_request is None:
                continue
            error = None if wired is None else _error(wired)
            if error is not None and not self._options.is_decoupled:
                self._open.pop(key, None)
                open_request.finish(error)
                continue
            if wired is not None:
                parameters: dict[str, ParameterValue] = wired[3]
                is_last = is_final and self._options.is_decoupled
                open_request.send(ExecuteResult(outputs=outputs, parameters=parameters, is_final=is_last, error=error))
            if is_final:
                open_request.finish()

    def _failed(self, keys: Sequence[int], text: str) -> None:
        message = f"Failed to process the request(s) for model '{self._options.name}', message: {text}"
        _log.error("%s", message)
        for key in keys:
            open_request = self._open.pop(key, None)
            if open_request is not None:
                open_request.finish(ServeError(StatusCode.INTERNAL, message))

    def _start_call(self, message: Message) -> None:
        process = self._process
        self._own(answer_call(self._caller, message, lambda value, tensors: process.send("answer", value, tensors)))

    def _ended(self) -> None:
        """Answer what the process leaves behind, and start it again."""
        if not self._is_closing:
            _log.error("the process %d of '%s' ended", self._process.pid, self._options.name)
        self._finish_all(self._unhealthy())
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(self._unhealthy())
        elif not self._is_closing:
            self._restarting = asyncio.create_task(self._restart())
        self._end_run(self._unhealthy())

    def _finish_all(self, error: ServeError) -> None:
        open_requests, self._open = self._open, {}
        for each in open_requests.values():
            each.finish(error)


def _fields(given: Mapping[str, ParameterValue]) -> tuple[object, ...]:
    """Return what a model may ask of a request that came with parameters; see Worker."""
    flags = (1 if given.get("sequence_start") else 0) | (2 if given.get("sequence_end") else 0)
    custom = {name: value for name, value in given.items() if name not in _RESERVED and not name.startswith("triton_")}
    return given.get("sequence_id", 0), flags, given.get("timeout", 0), given.get("priority", 0), custom


def _error(wired: tuple[Any, ...]) -> AnsweredError | None:
    text, code, *_ = wired
    return None if text is None else AnsweredError(STATUS_OF_CODE[code if 0 <= code < len(STATUS_OF_CODE) else 1], text)


def _outputs(described: Sequence[tuple[str, str, tuple[int, ...], int]], message: Message, starts: Any) -> list[Tensor]:
    outputs = []
    for name, dtype, shape, size in described:
        start = next(starts)
        outputs.append(Tensor(name, Dtype(dtype), tuple(shape), message.payload[start : start + size].data))
    return outputs
