"""The process of one instance: loads `model.py`, runs what the server sends, and ends with the server.

Needs numpy and nothing else, so that it also runs under the interpreter of a model's own environment.
"""

import asyncio
import ctypes
import importlib.util
import inspect
import json
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any

from npuserve.execution.python_model import triton_python_backend_utils as pb_utils
from npuserve.execution.python_model.channel import Message, offsets
from npuserve.execution.python_model.server_side import bind
from npuserve.execution.python_model.worker_link import WorkerLink

_PR_SET_PDEATHSIG = 1
_OWN_FILES = (__file__, threading.__file__)


class ModelError(Exception):
    """What the server tells of the model, in Triton's words."""


class Worker:
    """One instance of a model in its process.

    path: `model.py`. version: the name of the version's folder, as it goes into the module's name.
    """

    def __init__(self, link: WorkerLink, path: Path, version: str) -> None:
        self._link = link
        self._path = path
        self._version = version
        self._model: Any = None
        self._outputs: tuple[str, ...] = ()
        self._is_decoupled = False
        self._senders: dict[int, pb_utils.InferenceResponseSender] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self) -> None:
        """Do what the server says until it says that it was all."""
        self._link.handle("cancel", self._cancel)
        self._link.start()
        while True:
            message = self._link.next_work()
            value: Any = message.value
            if message.kind == "execute":
                self._execute(value, message)
            elif message.kind == "initialize":
                self._report("initialized", lambda given=value: self._initialize(given))
            elif message.kind == "auto_complete":
                self._report("completed", lambda given=value: self._auto_complete(given))
            elif message.kind == "finalize":
                self._report("finalized", self._finalize)
                return

    def _report(self, kind: str, act: Any) -> None:
        try:
            self._link.send(kind, (None, act()))
        except BaseException as error:
            self._link.send(kind, (describe_error(error), None))

    def _load(self) -> Any:
        sys.path.insert(0, str(self._path.parent))
        name = f"{self._version}.{self._path.stem}"
        spec = importlib.util.spec_from_file_location(name, self._path)
        assert spec is not None and spec.loader is not None, "a path of a .py file has a loader"
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module.TritonPythonModel

    def _initialize(self, given: tuple[Mapping[str, str], tuple[str, ...], bool]) -> None:
        arguments, self._outputs, self._is_decoupled = given
        self._model = self._load()()
        if hasattr(self._model, "initialize"):
            self._model.initialize(dict(arguments))

    def _auto_complete(self, config: str) -> str | None:
        model = self._load()
        if not hasattr(model, "auto_complete_config"):
            return None
        completed = model.auto_complete_config(pb_utils.ModelConfig(config))
        if not isinstance(completed, pb_utils.ModelConfig):
            raise TypeError(
                f"auto_complete_config must return the model config that it got, found type '{type(completed)}'"
            )
        return json.dumps(completed.as_dict())

    def _finalize(self) -> None:
        if self._model is not None and hasattr(self._model, "finalize"):
            self._model.finalize()

    def _cancel(self, message: Message) -> None:
        key: Any = message.value
        sender = self._senders.get(key)
        if sender is not None:
            sender._is_cancelled = True

    def _execute(self, batch: list[tuple[Any, ...]], message: Message) -> None:
        requests = self._requests(batch, message)
        try:
            if not hasattr(self._model, "execute"):
                raise ModelError(f"Python model {self._path} does not implement `execute` method.")
            returned = self._model.execute(requests)
            if inspect.iscoroutine(returned):
                returned = self._await(returned, requests)
            self._answer(requests, returned)
        except BaseException as error:
            # A model that calls sys.exit() has failed as one that raises.
            self._fail(requests, error)

    def _requests(self, batch: list[tuple[Any, ...]], message: Message) -> list[pb_utils.InferenceRequest]:
        """Return the requests of a message, each in it as (key, id, requested outputs, inputs, fields).

        inputs: (name, dtype, shape, bytes) of each. fields: None without parameters, or (sequence id, flags, timeout,
        priority, the client's own parameters).
        """
        sizes = [size for request in batch for _, _, _, size in request[3]]
        starts = iter(offsets(sizes)[0])
        requests: list[pb_utils.InferenceRequest] = []
        for key, request_id, outputs, inputs, fields in batch:
            tensors = []
            for name, dtype, shape, size in inputs:
                start = next(starts)
                tensors.append(pb_utils.Tensor._received(name, dtype, shape, message.payload[start : start + size]))
            sender = self._senders[key] = pb_utils.InferenceResponseSender(key, outputs, self._is_decoupled)
            request = pb_utils.InferenceRequest._received(request_id, outputs or self._outputs, tensors, sender)
            if fields is not None:
                request._set_fields(*fields)
            requests.append(request)
        return requests

    def _await(self, coroutine: Coroutine[Any, Any, Any], requests: list[pb_utils.InferenceRequest]) -> Any:
        """Run `async def execute`: to its end, or of a decoupled model beside the ones before."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._loop.run_forever, name="npuserve-coroutines", daemon=True).start()
        running = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        if not self._is_decoupled:
            return running.result()

        def ended(future: Any) -> None:
            if (error := future.exception()) is not None:
                self._fail(requests, error, is_done=False)

        running.add_done_callback(ended)
        return None

    def _answer(self, requests: list[pb_utils.InferenceRequest], returned: Any) -> None:
        """Send what `execute` returned, all of it in one message."""
        if returned is None and self._is_decoupled:
            self._link.send("done", (None, ()))
            return
        if not isinstance(returned, list):
            raise ModelError(f"Expected a list in the execute return, found type '{type(returned)}'.")
        if len(returned) != len(requests):
            raise ModelError(
                "Number of InferenceResponse objects do not match the number of InferenceRequest objects. "
                f"InferenceRequest(s) size is:{len(requests)}, and InferenceResponse(s) size is:{len(returned)}\n"
            )
        for response in returned:
            if not isinstance(response, pb_utils.InferenceResponse | None):
                raise ModelError(
                    "Expected an 'InferenceResponse' object in the execute function return list, found type "
                    f"'{type(response)}'."
                )
        answers: list[tuple[Any, ...]] = []
        contents: list[memoryview] = []
        for request, response in zip(requests, returned, strict=True):
            self._add_answer(request, response, answers, contents)
        self._link.send("done", (None, answers), contents)

    def _add_answer(
        self,
        request: pb_utils.InferenceRequest,
        response: pb_utils.InferenceResponse | None,
        answers: list[tuple[Any, ...]],
        contents: list[memoryview],
    ) -> None:
        sender = request._sender
        assert sender is not None, "every request that came has a sender"
        if response is None and request.has_sender_out:
            return
        if response is None and not self._is_decoupled:
            response = pb_utils.InferenceResponse(
                error=pb_utils.TritonError("the model returned no InferenceResponse for the request")
            )
        del self._senders[sender._key]
        sender.close()
        wired, tensors = (None, []) if response is None else response._wire(sender.requested)
        answers.append((sender._key, wired, True))
        contents += tensors

    def _fail(self, requests: list[pb_utils.InferenceRequest], error: BaseException, *, is_done: bool = True) -> None:
        keys = []
        for request in requests:
            sender = request._sender
            assert sender is not None, "every request that came has a sender"
            self._senders.pop(sender._key, None)
            sender.close()
            keys.append(sender._key)
        self._link.send("failed" if is_done else "abandoned", (tuple(keys), describe_error(error)))


def describe_error(error: BaseException) -> str:
    """Return an error as Triton prints a model's: type, text, and where, the innermost place first."""
    if isinstance(error, ModelError):
        return str(error)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename not in _OWN_FILES]
    where = "".join(f"  {frame.filename}({frame.lineno}): {frame.name}\n" for frame in reversed(frames))
    text = f"{type(error).__name__}: {error}"
    return f"{text}\n\nAt:\n{where}" if where else text


def main() -> None:
    """Run a worker: arguments are the socket's descriptor, the path of `model.py`, the version's name."""
    # The server may be killed while the model holds the interpreter.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # The server ends its workers itself, when they have answered.
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    signal.signal(signal.SIGINT, lambda number, frame: None)
    descriptor, path, version = sys.argv[1:4]
    link = WorkerLink(socket.socket(fileno=int(descriptor)))
    bind(link)
    sys.modules["triton_python_backend_utils"] = pb_utils
    Worker(link, Path(path), version).run()


if __name__ == "__main__":
    main()
