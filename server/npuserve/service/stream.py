"""ModelStreamInfer: any number of requests, to any models, over one call."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import aclosing

from npuserve._proto.inference_pb2 import ModelInferRequest, ModelStreamInferResponse
from npuserve.core.errors import ExecutionError, ServeError
from npuserve.core.request import InferenceResponse
from npuserve.core.status import StatusCode
from npuserve.service.call import SHUTTING_DOWN, Call
from npuserve.service.decode import RequestDecoder
from npuserve.service.encode import infer_message, set_parameter
from npuserve.service.inference import InferenceService, ServedModel
from npuserve.service.parameters import wants_typed_contents

_log = logging.getLogger(__name__)

MAX_IN_FLIGHT = 256
"""Requests of one stream that are being answered; the next is read when one of them is. Each may hold a message of
any size, before and after its execution."""

_WAITING_RESPONSES = 16
_FINAL = "triton_final_response"
_WANTS_EMPTY_FINAL = "triton_enable_empty_final_response"
# Metadata by which a client asks for its stream to end with the first error of a model.
_STRICT = ("triton_grpc_error", "true")


class StreamRpc:
    """Answers ModelStreamInfer with an inference service.

    max_in_flight: how many requests of one stream are taken up at a time.
    """

    def __init__(
        self, inference: InferenceService, decoder: RequestDecoder, *, max_in_flight: int = MAX_IN_FLIGHT
    ) -> None:
        self._inference = inference
        self._decoder = decoder
        self._max_in_flight = max_in_flight

    async def model_stream_infer(
        self, requests: AsyncIterator[ModelInferRequest], call: Call
    ) -> AsyncIterator[ModelStreamInferResponse]:
        """Yield the responses, and the errors in place of responses, until the last request's last.

        Models that are not decoupled answer in the order of their requests; a decoupled one as its responses come.
        Closing the iterator cancels what is in flight. Raises ServeError if a message cannot be read, and, if the call
        asks for it, with the first error of a model; UNAVAILABLE when the server stops and nothing is in flight.
        """
        stream = _Stream(self._inference, self._decoder, call, self._max_in_flight)
        tasks = [asyncio.create_task(stream.read(requests)), asyncio.create_task(stream.end_at_shutdown())]
        try:
            while (response := await stream.outbox.get()) is not None:
                if isinstance(response, Exception):
                    raise response
                yield response
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


class _Stream:
    """One call: reads requests, answers each in a task, puts what comes of it into the outbox.

    outbox: responses in the order to send them, the error that ends the stream, None behind the last.
    """

    def __init__(self, inference: InferenceService, decoder: RequestDecoder, call: Call, max_in_flight: int) -> None:
        self.outbox: asyncio.Queue[ModelStreamInferResponse | Exception | None] = asyncio.Queue(_WAITING_RESPONSES)
        self._inference = inference
        self._decoder = decoder
        self._call = call
        self._is_strict = _STRICT in call.metadata
        self._room = asyncio.Semaphore(max_in_flight)
        self._tasks: set[asyncio.Task[None]] = set()
        self._last_turn = _Turn(None)
        self._is_read = False

    async def read(self, requests: AsyncIterator[ModelInferRequest]) -> None:
        """Take up every request, wait until all are answered; if cancelled, cancel them."""
        try:
            await self._room.acquire()
            async for request in requests:
                self._take_up(request)
                await self._room.acquire()
            self._is_read = True
            if self._tasks:
                await asyncio.wait(self._tasks)
            await self.outbox.put(None)
        except Exception as error:
            await self.outbox.put(error)
        finally:
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks)

    async def end_at_shutdown(self) -> None:
        """End the stream when the server stops, as soon as nothing of it is in flight."""
        await self._inference.stopping.wait()
        while self._tasks:
            await asyncio.wait(self._tasks)
        if not self._is_read:
            await self.outbox.put(ServeError(StatusCode.UNAVAILABLE, SHUTTING_DOWN))

    def _take_up(self, request: ModelInferRequest) -> None:
        """Start the request's task. The model is found at once: what it is decides whether the order counts."""
        try:
            if self._inference.stopping.is_set():
                raise ServeError(StatusCode.UNAVAILABLE, SHUTTING_DOWN)
            model = self._inference.find(request.model_name, request.model_version)
        except ServeError as error:
            self._start(self._send_in_turn(_error_response(request, error), self._next_turn()))
            return
        if model.is_decoupled:
            self._start(self._answer_as_it_comes(model, request))
        else:
            self._start(self._answer_in_turn(model, request, self._next_turn()))

    def _start(self, answering: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(answering)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._room.release()

    def _next_turn(self) -> "_Turn":
        self._last_turn = _Turn(self._last_turn)
        return self._last_turn

    async def _answer_in_turn(self, model: ServedModel, message: ModelInferRequest, turn: "_Turn") -> None:
        response: ModelStreamInferResponse | Exception
        try:
            answer = await self._inference.answer(model, self._decoder.decode(message, self._call))
            response = _response(message, answer)
        except Exception as error:
            response = self._failure(message, error)
        await self._send_in_turn(response, turn)

    async def _send_in_turn(self, response: ModelStreamInferResponse | Exception, turn: "_Turn") -> None:
        await turn.come()
        await self.outbox.put(response)
        turn.end()

    async def _answer_as_it_comes(self, model: ServedModel, message: ModelInferRequest) -> None:
        try:
            request = self._decoder.decode(message, self._call)
            wants_empty_final = request.parameters.get(_WANTS_EMPTY_FINAL) is True
            async with aclosing(self._inference.answers(model, request, errors_as_responses=True)) as answers:
                async for answer in answers:
                    if answer.error is not None:
                        await self.outbox.put(self._failure(message, answer.error, is_final=answer.is_final))
                        continue
                    # Only what ends a request of its own has no version.
                    if answer.version or wants_empty_final:
                        await self.outbox.put(_response(message, answer))
        except Exception as error:
            await self.outbox.put(self._failure(message, error))

    def _failure(
        self, message: ModelInferRequest, error: Exception, *, is_final: bool = True
    ) -> ModelStreamInferResponse | Exception:
        """Return what a failed request is answered with: a response, or the error that ends the stream."""
        if not isinstance(error, ServeError):
            _log.error("unexpected error in ModelStreamInfer", exc_info=error)
            error = ExecutionError(StatusCode.INTERNAL, "unexpected error, see the server's log")
        if self._is_strict and isinstance(error, ExecutionError):
            return error
        return _error_response(message, error, is_final=is_final)


class _Turn:
    """A place in the order of responses."""

    def __init__(self, before: "_Turn | None") -> None:
        self._before = before
        self._ended: asyncio.Event | None = None
        self._is_over = before is None

    async def come(self) -> None:
        """Wait until the turn before has ended."""
        if self._before is not None and not self._before._is_over:
            self._before._ended = asyncio.Event()
            await self._before._ended.wait()
        self._before = None

    def end(self) -> None:
        self._is_over = True
        if self._ended is not None:
            self._ended.set()


def _response(message: ModelInferRequest, answer: InferenceResponse) -> ModelStreamInferResponse:
    """Return the response to a request. Raises ServeError (INVALID_ARGUMENT) if it is too large."""
    response = ModelStreamInferResponse(infer_response=infer_message(answer, typed=wants_typed_contents(message)))
    set_parameter(response.infer_response.parameters[_FINAL], answer.is_final)
    return response


def _error_response(
    message: ModelInferRequest, error: ServeError, *, is_final: bool = True
) -> ModelStreamInferResponse:
    """Return an error in place of a response; it names the model only if the model was what failed."""
    # Without text it would look like a response.
    response = ModelStreamInferResponse(error_message=error.message or error.status.name)
    response.infer_response.id = message.id
    if isinstance(error, ExecutionError):
        response.infer_response.model_name = message.model_name
        response.infer_response.model_version = message.model_version
        set_parameter(response.infer_response.parameters[_FINAL], is_final)
    return response
