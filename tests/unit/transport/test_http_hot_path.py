"""What Python the server runs for a binary inference over HTTP whose model has a route: none of its own."""

import asyncio
import http.client
import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import npuserve
from npuserve.config.http_options import HttpOptions
from npuserve.core.status import StatusCode
from npuserve.execution.identity import IdentityBackend
from npuserve.observability.requests import FinishedRequest
from npuserve.repository.loading import ModelLoader
from npuserve.repository.registry import ModelRegistry
from npuserve.service.rest.exchange import HttpRequest, HttpResponse
from npuserve.service.routes import InferRoutes
from npuserve.transport.http import HttpFrontEnd

PACKAGE = str(Path(npuserve.__file__).parent)
CONFIG = """
backend: "identity"
max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: 4 }
output { name: "y" data_type: TYPE_FP32 dims: 4 }
dynamic_batching { }
"""
ROW = bytes(range(16))
INPUT = {"name": "x", "shape": [1, 4], "datatype": "FP32", "parameters": {"binary_data_size": 16}}


class Handler:
    """Counts the requests that reach Python."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        self.paths.append(request.path)
        return HttpResponse(status=202, body=request.body)


class Observer:
    """Wants to be told of everything."""

    wants_all = True
    slow_ns = 0

    def __init__(self, *, raises: bool = False) -> None:
        self._raises = raises
        self.requests: list[FinishedRequest] = []

    def observe(self, request: FinishedRequest) -> None:
        self.requests.append(request)
        if self._raises:
            raise ArithmeticError


@asynccontextmanager
async def serving(repository: Path, handler: Handler, observer: Observer | None = None) -> AsyncIterator[int]:
    """The front end over a real registry with the model `copy`; its port."""
    (repository / "copy" / "1").mkdir(parents=True)
    (repository / "copy" / "config.pbtxt").write_text(CONFIG)
    registry = ModelRegistry(ModelLoader({"identity": IdentityBackend()}))
    await registry.load_all([repository])
    options = HttpOptions(address="127.0.0.1", port=0)
    front_end = HttpFrontEnd(handler, options, routes=InferRoutes(registry), observer=observer)
    try:
        yield int((await front_end.start()).rpartition(":")[2])
    finally:
        await front_end.stop()
        await registry.close()
        await front_end.release()


@contextmanager
def counted_calls() -> Iterator[list[str]]:
    """The names of the package's Python functions that this thread, the loop's, calls meanwhile."""
    calls: list[str] = []

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            calls.append(frame.f_code.co_qualname)

    sys.setprofile(note)
    try:
        yield calls
    finally:
        sys.setprofile(None)


def infer(port: int, requests: int, **header: Any) -> list[tuple[int, Any, bytes]]:
    """Send so many, one after the other; return status, JSON part and binary part of each answer."""
    text = json.dumps({"inputs": [INPUT], "parameters": {"binary_data_output": True}} | header).encode()
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    answers = []
    for _ in range(requests):
        client.request("POST", "/v2/models/copy/infer", text + ROW, {"Inference-Header-Content-Length": str(len(text))})
        with client.getresponse() as answer:
            length = int(answer.headers.get("Inference-Header-Content-Length", "0"))
            body = answer.read()
            answers.append((answer.status, json.loads(body[:length] or "null"), body[length:]))
    client.close()
    return answers


async def test_a_routed_inference_runs_no_python_function_of_the_server(tmp_path: Path) -> None:
    handler = Handler()
    async with serving(tmp_path, handler) as port:
        await asyncio.to_thread(infer, port, 1)
        with counted_calls() as calls:
            answers = await asyncio.to_thread(infer, port, 100, id="seven")
        assert calls == []
        output = {"name": "y", "datatype": "FP32", "shape": [1, 4], "parameters": {"binary_data_size": 16}}
        head = {"id": "seven", "model_name": "copy", "model_version": "1", "outputs": [output]}
        assert answers == [(200, head, ROW)] * 100
        # In this order, as clients that read by hand may rely on it.
        assert list(answers[0][1]) == ["id", "model_name", "model_version", "outputs"]

        with counted_calls() as calls:
            ((status, _, body),) = await asyncio.to_thread(infer, port, 1, parameters={"binary_data_output": False})
        assert "HttpCalls.dispatch" in calls
        assert (status, body[-16:]) == (202, ROW)
        assert handler.paths == ["/v2/models/copy/infer"]


async def test_an_observer_that_raises_costs_no_connection_and_no_answer(tmp_path: Path) -> None:
    observer = Observer(raises=True)
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    async with serving(tmp_path, Handler(), observer) as port:
        answers = await asyncio.to_thread(infer, port, 3)
    assert [status for status, _, _ in answers] == [200] * 3
    assert len(observer.requests) == 3
    assert {context["message"] for context in reported} == {"an observer of requests failed"}
    assert {type(context["exception"]) for context in reported} == {ArithmeticError}


async def test_an_observer_is_told_of_what_the_routes_answered(tmp_path: Path) -> None:
    observer = Observer()
    async with serving(tmp_path, Handler(), observer) as port:
        await asyncio.to_thread(infer, port, 2, id="seven")
    assert [(told.model, told.version, told.id, told.front_end) for told in observer.requests] == [
        ("copy", "1", "seven", "http")
    ] * 2
    told = observer.requests[0]
    assert told.status is StatusCode.OK
    assert told.timing is not None
    assert told.started_ns <= told.timing.start_ns <= told.timing.scattered_ns <= told.ended_ns
