"""One instance of a Python model: hands batches to its process, and its answers to whom they belong."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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

_log = logging.getLogger(__name__)

_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR, "verbose": logging.DEBUG}
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


class PythonInstance:
    """An OpenRunner over a worker process, which is started again when it dies."""

    def __init__(self, options: InstanceOptions, caller: ModelCaller, metrics: CustomMetrics) -> None:
        self._options = options
        self._caller = caller
        self._metrics = metrics
        self._process = WorkerProcess(self._received, self._ended)
        self._keys = 0
        self._open: dict[int, OpenRequest] = {}
        self._running: tuple[Execution, asyncio.Future[Message]] | None = None
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
            failure, _ = await self._ask("initialize", (dict(options.arguments), options.is_decoupled))
        except BaseException:
            await process.stop()
            raise
        if failure is not None:
            await process.stop()
            raise ServeError(StatusCode.INTERNAL, failure)

    async def run(self, batch: Sequence[OpenRequest], execution: Execution) -> None:
        """Run a batch; see OpenRunner.run."""
        await self._revive()
        described, contents = self._describe(batch)
        execution.gathered_ns = time.monotonic_ns()
        done: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._running = (execution, done)
        self._process.send("execute", described, contents)
        try:
            async with asyncio.timeout(self._options.execute_timeout_s):
                message = await done
        except TimeoutError:
            raise self._late() from None
        finally:
            self._running = None
        # Here and not on arrival: the execution is counted before anyone learns of its answers.
        value: Any = message.value
        if message.kind == "done":
            self._answered(value[1], message)
        else:
            self._failed(value[0], value[1])

    async def close(self) -> None:
        """Let the model finalize, and end its process."""
        self._is_closing = True
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

    def _describe(self, batch: Sequence[OpenRequest]) -> tuple[list[tuple[object, ...]], list[Buffer]]:
        described: list[tuple[object, ...]] = []
        contents: list[Buffer] = []
        for each in batch:
            self._keys += 1
            key = self._keys
            self._open[key] = each
            inputs = []
            for tensor in each.request.inputs:
                content = as_bytes(tensor.data)
                contents.append(content)
                inputs.append((tensor.name, tensor.dtype.value, tensor.shape, len(content)))
            described.append((key, inputs, self._fields(each)))
            each.when_cancelled(lambda key=key: self._process.send("cancel", key))  # type: ignore[misc]  # a default binds
        return described, contents

    def _fields(self, open_request: OpenRequest) -> dict[str, object]:
        request = open_request.request
        given = request.parameters
        flags = (1 if given.get("sequence_start") else 0) | (2 if given.get("sequence_end") else 0)
        return {
            "request_id": request.id,
            "correlation_id": given.get("sequence_id", 0),
            "requested_output_names": request.outputs or self._options.outputs,
            "flags": flags,
            "timeout": given.get("timeout", 0),
            "priority": given.get("priority", 0),
            "parameters": {
                name: value for name, value in given.items() if name not in _RESERVED and not name.startswith("triton_")
            },
        }

    def _late(self) -> ServeError:
        """Start the process again, which takes too long; return what its requests are answered."""
        timeout_s = self._options.execute_timeout_s or 0.0
        text = f"'{self._options.name}' did not execute within {timeout_s * 1000:.0f} ms, its process is started again"
        _log.error("%s", text)
        error = ServeError(StatusCode.INTERNAL, text)
        self._finish_all(error)
        self._restarting = asyncio.create_task(self._restart())
        return error

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
        if self._running is not None and not self._running[1].done():
            self._running[0].executed_ns = time.monotonic_ns()
            self._running[1].set_result(message)

    def _answered(self, answers: Sequence[tuple[int, Any, bool]], message: Message) -> None:
        sizes = [size for _, wired, _ in answers if wired is not None for *_, size in wired[2]]
        starts = iter(offsets(sizes)[0])
        for key, wired, is_final in answers:
            open_request = self._open.pop(key, None) if is_final else self._open.get(key)
            outputs = [] if wired is None else _outputs(wired[2], message, starts)
            if open_request is None:
                continue
            if wired is not None and wired[0] is not None:
                self._open.pop(key, None)
                code = wired[1] if 0 <= wired[1] < len(STATUS_OF_CODE) else 1
                open_request.finish(AnsweredError(STATUS_OF_CODE[code], wired[0]))
                continue
            if wired is not None:
                parameters: dict[str, ParameterValue] = wired[3]
                open_request.send(ExecuteResult(outputs=outputs, parameters=parameters))
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
        call = answer_call(self._caller, message, lambda value, tensors: self._process.send("answer", value, tensors))
        task = asyncio.create_task(call)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _ended(self) -> None:
        """Answer what the process leaves behind, and start it again."""
        if not self._is_closing:
            _log.error("the process %d of '%s' ended", self._process.pid, self._options.name)
        self._finish_all(self._unhealthy())
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(self._unhealthy())
        elif not self._is_closing:
            self._restarting = asyncio.create_task(self._restart())
        if self._running is not None and not self._running[1].done():
            self._running[1].set_exception(self._unhealthy())

    def _finish_all(self, error: ServeError) -> None:
        open_requests, self._open = self._open, {}
        for each in open_requests.values():
            each.finish(error)


def _outputs(described: Sequence[tuple[str, str, tuple[int, ...], int]], message: Message, starts: Any) -> list[Tensor]:
    outputs = []
    for name, dtype, shape, size in described:
        start = next(starts)
        outputs.append(Tensor(name, Dtype(dtype), tuple(shape), message.payload[start : start + size].data))
    return outputs
