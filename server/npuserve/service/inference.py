"""Inference of any origin: finds the model, checks the request in Triton's order, runs it, shapes the response."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from types import TracebackType

from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.core.errors import ExecutionError, ServeError
from npuserve.core.execution import ExecuteRequest, ExecuteResult
from npuserve.core.ready import Ready
from npuserve.core.request import InferenceRequest, InferenceResponse
from npuserve.core.status import StatusCode
from npuserve.observability.requests import RequestObserver
from npuserve.repository.loading import LoadedModel
from npuserve.repository.registry import ModelRegistry
from npuserve.service.conversion import converted_input
from npuserve.service.interface import ModelInterface, interface_of
from npuserve.service.outputs import inference_response
from npuserve.service.recording import Recording
from npuserve.service.validate import check_requested_outputs, check_sequence, id_prefix, validated_inputs

# The refusals of a model's queue that name the request, which the queue does not know. The model has not seen it then.
_NAMES_REQUEST = ("Exceeds maximum queue size", "Server is stopping, scheduler for model has stopped accepting")


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A ready version, and what requests may name of it."""

    loaded: LoadedModel
    interface: ModelInterface

    @property
    def is_decoupled(self) -> bool:
        """Whether a request may have any number of responses."""
        return self.loaded.config.model_transaction_policy.decoupled


class InferenceService:
    """Answers with the models of a registry, which it is given by `serve`: models that call others need it first.

    It is the server's `execution.caller.ModelCaller`.

    observer: is told of every request of a front end that came as far as a model.
    """

    def __init__(self, observer: RequestObserver | None = None) -> None:
        self._registry: ModelRegistry | None = None
        self._served: dict[tuple[str, int], ServedModel] = {}
        self._held: dict[tuple[tuple[str, str], ...], HeldModels] = {}
        self._observer = observer
        self.stopping = asyncio.Event()
        """Set when the server stops: streams that are open refuse what still comes over them, and end."""

    def serve(self, registry: ModelRegistry) -> None:
        """Answer with the models of this registry from now on."""
        self._registry = registry
        registry.watch(self._follow)

    def _follow(self) -> None:
        # What is no longer ready must not be kept.
        self._served.clear()
        self._held.clear()
        if self._registry is not None and self._registry.is_closing:
            self.stopping.set()

    def find(self, name: str, version: str) -> ServedModel:
        """Return the version that a request means. Raises ServeError as `ModelRegistry.lookup`."""
        assert self._registry is not None
        loaded = self._registry.lookup(name, version)
        key = (loaded.name, loaded.version)
        known = self._served.get(key)
        if known is None or known.loaded is not loaded:
            interface = interface_of(loaded.config, takes_sequences=self._has_sequence_step(loaded.config))
            known = self._served[key] = ServedModel(loaded, interface)
        return known

    def _has_sequence_step(self, config: ModelConfig) -> bool:
        return any(
            self.find(
                step.model_name, "" if step.model_version < 0 else str(step.model_version)
            ).interface.takes_sequences
            for step in config.ensemble_scheduling.step
        )

    def config(self, model: str, version: str = "") -> ModelConfig:
        """Return the effective config of a ready version. Raises ServeError."""
        return self.find(model, version).loaded.config

    def hold(self, models: Iterable[tuple[str, str]]) -> "HeldModels":
        """Give a caller for which these names and versions stay what they are; see ModelCaller.hold."""
        key = tuple(models)
        held = self._held.get(key)
        if held is None or held.is_ended:
            held = self._held[key] = HeldModels(self, {each: self.find(*each) for each in key})
        return held

    async def infer(self, request: InferenceRequest) -> InferenceResponse:
        """Find the model and return its one response. Raises ServeError."""
        model = self.find(request.model, request.version)
        _refuse_decoupled(model)
        return await self.answer(model, request)

    async def stream(self, request: InferenceRequest) -> AsyncGenerator[InferenceResponse]:
        """Find the model and yield its responses, the last of them with `is_final`. Raises ServeError."""
        responses = self.answers(self.find(request.model, request.version), request)
        try:
            async for response in responses:
                yield response
        finally:
            await responses.aclose()

    def answer(self, model: ServedModel, request: InferenceRequest) -> Awaitable[InferenceResponse]:
        """Check the request against the model, run it, return the response, which must be awaited.

        Raises ServeError, at once or when it is awaited. What can be done at once is: the model may run before the
        caller has a task that waits for it.
        """
        model = self._in_service(model, request)
        if self._observer is None or not request.front_end:
            return _respond(model, request)
        recording = Recording(self._observer, str(model.loaded.version), request)
        try:
            executing = _begin(model, request)
        except Exception as error:
            recording.end(error)
            raise
        return _recorded(recording, model, request, executing)

    async def answers(
        self, model: ServedModel, request: InferenceRequest, *, errors_as_responses: bool = False
    ) -> AsyncGenerator[InferenceResponse]:
        """Check the request, run it, yield the responses as they come. Raises ServeError.

        A model that is not decoupled yields one, which is final. A decoupled one yields any number; unless it tells
        which is its last, a final one without outputs follows.
        errors_as_responses: whether errors that a decoupled model sends among its responses are yielded as such, and
        do not end the request.
        """
        model = self._in_service(model, request)
        if not model.is_decoupled:
            yield await self.answer(model, request)
            return
        responses = _answers(model, request, errors_as_responses=errors_as_responses)
        try:
            if self._observer is None or not request.front_end:
                async for response in responses:
                    yield response
                return
            with Recording(self._observer, str(model.loaded.version), request) as recording:
                async for response in responses:
                    recording.timing = response.timing or recording.timing
                    yield response
        finally:
            await responses.aclose()

    def _in_service(self, model: ServedModel, request: InferenceRequest) -> ServedModel:
        """Return the model, or its successor if it was reloaded since it was found. Raises ServeError."""
        return self.find(request.model, request.version) if model.loaded.leases.is_ended else model


class HeldModels:
    """A `execution.caller.ModelCaller` that answers with versions found before, and else as the service.

    These stay in service within it as a context, which may be entered more than once at a time.
    """

    def __init__(self, service: InferenceService, models: Mapping[tuple[str, str], ServedModel]) -> None:
        self._service = service
        self._models = models
        self._leases = tuple(model.loaded.leases for model in models.values())
        self.config = service.config
        self.hold = service.hold

    def __enter__(self) -> "HeldModels":
        for leases in self._leases:
            leases.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for leases in self._leases:
            leases.release()

    @property
    def is_ended(self) -> bool:
        """Whether one of them is being closed."""
        return any([leases.is_ended for leases in self._leases])

    def infer(self, request: InferenceRequest) -> Awaitable[InferenceResponse]:
        """Give the one response of a model that is not decoupled; see ModelCaller.infer."""
        model = self._models.get((request.model, request.version))
        if model is None:
            return self._service.infer(request)
        _refuse_decoupled(model)
        return _respond(model, request)

    async def stream(self, request: InferenceRequest) -> AsyncGenerator[InferenceResponse]:
        """Yield the responses of any model, the last of them with `is_final`. Raises ServeError."""
        model = self._models.get((request.model, request.version))
        if model is None:
            async with aclosing(self._service.stream(request)) as unheld:
                async for response in unheld:
                    yield response
            return
        if not model.is_decoupled:
            yield await self.infer(request)
            return
        async with aclosing(_answers(model, request, errors_as_responses=False)) as responses:
            async for response in responses:
                yield response


def _refuse_decoupled(model: ServedModel) -> None:
    if model.is_decoupled:
        raise ServeError(
            StatusCode.UNIMPLEMENTED, "ModelInfer RPC doesn't support models with decoupled transaction policy"
        )


def _begin(model: ServedModel, request: InferenceRequest) -> Awaitable[ExecuteResult]:
    """Hand the request to the model, whose lease is held from now on. Raises ServeError, and holds nothing then."""
    checked = _checked(model, request)
    model.loaded.leases.acquire()
    try:
        return model.loaded.executor.execute(checked)
    except BaseException as error:
        model.loaded.leases.release()
        if isinstance(error, ServeError):
            raise _of_execution(request, error) from error
        raise


def _respond(model: ServedModel, request: InferenceRequest) -> Awaitable[InferenceResponse]:
    """Run a request; give its response, which must be awaited, as a `Ready` if the model answers at once."""
    executing = _begin(model, request)
    if not isinstance(executing, Ready):
        return _answer(model, request, executing)
    model.loaded.leases.release()
    return Ready(inference_response(model.loaded, model.interface, request, executing.result))


async def _answer(
    model: ServedModel, request: InferenceRequest, executing: Awaitable[ExecuteResult]
) -> InferenceResponse:
    """Return the response to a request that `_begin` has begun."""
    try:
        result = await executing
    except ServeError as error:
        raise _of_execution(request, error) from error
    finally:
        model.loaded.leases.release()
    return inference_response(model.loaded, model.interface, request, result)


async def _recorded(
    recording: Recording, model: ServedModel, request: InferenceRequest, executing: Awaitable[ExecuteResult]
) -> InferenceResponse:
    with recording:
        response = await _answer(model, request, executing)
        recording.timing = response.timing
    return response


async def _answers(
    model: ServedModel, request: InferenceRequest, *, errors_as_responses: bool
) -> AsyncGenerator[InferenceResponse]:
    """Yield the responses of a decoupled model."""
    is_final = False
    results = model.loaded.executor.stream(_checked(model, request))
    try:
        with model.loaded.leases.hold():
            async for result in results:
                is_final = result.is_final
                if result.error is not None:
                    if not errors_as_responses:
                        raise result.error
                    yield _error(model, request, result.error, is_final=is_final)
                    continue
                yield inference_response(model.loaded, model.interface, request, result, is_final=is_final)
    except ServeError as error:
        raise _of_execution(request, error) from error
    finally:
        if isinstance(results, AsyncGenerator):
            await results.aclose()
    if not is_final:
        yield InferenceResponse(model=model.interface.name, version="", id=request.id)


def _error(model: ServedModel, request: InferenceRequest, error: ServeError, *, is_final: bool) -> InferenceResponse:
    return InferenceResponse(
        model=model.interface.name,
        version="",
        id=request.id,
        is_final=is_final,
        error=ExecutionError(error.status, error.message),
    )


def _checked(model: ServedModel, request: InferenceRequest) -> ExecuteRequest:
    """Return the request as the executor takes it. Raises ServeError."""
    check_requested_outputs(request, model.interface)
    by_name, rows = validated_inputs(request, model.interface)
    # The requests that other models make carry the sequence of the one that they answer.
    if request.front_end:
        check_sequence(request, model.interface)
    inputs = []
    for spec in model.loaded.signature.inputs:
        tensor = by_name.get(spec.name)
        if tensor is None:
            continue
        inputs.append(tensor if tensor.dtype is spec.dtype else converted_input(request, tensor, spec.dtype))
    if request.deadline is not None and request.deadline <= time.monotonic():
        raise ServeError(StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
    return ExecuteRequest(
        inputs=inputs,
        rows=rows,
        id=request.id,
        parameters=request.parameters,
        outputs=tuple([output.name for output in request.outputs]),
        destinations=_destinations(model, request),
        deadline=request.deadline,
    )


def _destinations(model: ServedModel, request: InferenceRequest) -> dict[str, memoryview]:
    """Return where an executor may write outputs as they are: not those that are classified or converted."""
    if not request.outputs or all(output.destination is None for output in request.outputs):
        return {}
    produced = {spec.name: spec.dtype for spec in model.loaded.signature.outputs}
    return {
        output.name: output.destination
        for output in request.outputs
        if output.destination is not None
        and not output.class_count
        and produced.get(output.name) is model.interface.outputs[output.name].dtype
    }


def _of_execution(request: InferenceRequest, error: ServeError) -> ServeError:
    """Tell a model's failure from a refusal, and name the request in those refusals that name it."""
    if error.message.startswith(_NAMES_REQUEST):
        return ServeError(error.status, id_prefix(request.id) + error.message)
    return ExecutionError(error.status, error.message)
