"""Inference of any origin: finds the model, checks the request in Triton's order, runs it, shapes the response."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.core.errors import ServeError
from npuserve.core.execution import ExecuteRequest, ExecuteResult
from npuserve.core.request import InferenceRequest, InferenceResponse
from npuserve.core.status import StatusCode
from npuserve.core.tensor import Tensor
from npuserve.repository.loading import LoadedModel
from npuserve.repository.registry import ModelRegistry
from npuserve.service.interface import ModelInterface, carry_sizes, interface_of
from npuserve.service.validate import check_requested_outputs, id_prefix, validated_inputs

# The refusals of a model's queue that name the request, which the queue does not know.
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
    """

    def __init__(self) -> None:
        self._registry: ModelRegistry | None = None
        self._interfaces: dict[tuple[str, int], ServedModel] = {}

    def serve(self, registry: ModelRegistry) -> None:
        """Answer with the models of this registry from now on."""
        self._registry = registry

    def find(self, name: str, version: str) -> ServedModel:
        """Return the version that a request means. Raises ServeError as `ModelRegistry.lookup`."""
        assert self._registry is not None
        loaded = self._registry.lookup(name, version)
        key = (loaded.name, loaded.version)
        known = self._interfaces.get(key)
        if known is None or known.loaded is not loaded:
            known = self._interfaces[key] = ServedModel(loaded, interface_of(loaded.config))
        return known

    def config(self, model: str, version: str = "") -> ModelConfig:
        """Return the effective config of a ready version. Raises ServeError."""
        return self.find(model, version).loaded.config

    async def infer(self, request: InferenceRequest) -> InferenceResponse:
        """Find the model and return its one response. Raises ServeError."""
        model = self.find(request.model, request.version)
        if model.is_decoupled:
            raise ServeError(
                StatusCode.UNIMPLEMENTED, "ModelInfer RPC doesn't support models with decoupled transaction policy"
            )
        return await self.answer(model, request)

    async def stream(self, request: InferenceRequest) -> AsyncIterator[InferenceResponse]:
        """Find the model and yield its responses, the last of them with `is_final`. Raises ServeError."""
        async for response in self.answers(self.find(request.model, request.version), request):
            yield response

    async def answer(self, model: ServedModel, request: InferenceRequest) -> InferenceResponse:
        """Check the request against the model, run it, return the response. Raises ServeError."""
        checked = _checked(model, request)
        with _naming_request(request):
            result = await model.loaded.executor.execute(checked)
        return _response(model, request, result)

    async def answers(self, model: ServedModel, request: InferenceRequest) -> AsyncIterator[InferenceResponse]:
        """Check the request, run it, yield the responses as they come. Raises ServeError.

        A model that is not decoupled yields one, which is final; a decoupled one any number, and then a final one
        without outputs.
        """
        checked = _checked(model, request)
        if not model.is_decoupled:
            with _naming_request(request):
                result = await model.loaded.executor.execute(checked)
            yield _response(model, request, result)
            return
        with _naming_request(request):
            async for result in model.loaded.executor.stream(checked):
                yield _response(model, request, result, is_final=False)
        yield InferenceResponse(model=model.interface.name, version="", id=request.id)


def _checked(model: ServedModel, request: InferenceRequest) -> ExecuteRequest:
    """Return the request as the executor takes it. Raises ServeError."""
    check_requested_outputs(request, model.interface)
    by_name, rows = validated_inputs(request, model.interface)
    if request.deadline is not None and request.deadline <= time.monotonic():
        raise ServeError(StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
    return ExecuteRequest(
        inputs=[by_name[spec.name] for spec in model.loaded.signature.inputs if spec.name in by_name],
        rows=rows,
        id=request.id,
        parameters=request.parameters,
        outputs=tuple(output.name for output in request.outputs),
        deadline=request.deadline,
    )


@contextmanager
def _naming_request(request: InferenceRequest) -> Iterator[None]:
    try:
        yield
    except ServeError as error:
        if error.message.startswith(_NAMES_REQUEST):
            raise ServeError(error.status, id_prefix(request.id) + error.message) from error
        raise


def _response(
    model: ServedModel, request: InferenceRequest, result: ExecuteResult, *, is_final: bool = True
) -> InferenceResponse:
    """Return the requested outputs (all if none is named), each in the shape by the config's dims."""
    interface = model.interface
    wanted = {output.name for output in request.outputs} or interface.outputs.keys()
    return InferenceResponse(
        model=interface.name,
        version=str(model.loaded.version),
        id=request.id,
        parameters=result.parameters,
        outputs=[as_declared(interface, tensor) for tensor in result.outputs if tensor.name in wanted],
        is_final=is_final,
    )


def as_declared(model: ModelInterface, tensor: Tensor) -> Tensor:
    """Return the tensor in the shape by the config's dims where the config reshapes what the model produces."""
    declared = model.outputs[tensor.name]
    if declared.model_dims == declared.dims:
        return tensor
    batch = 1 if model.max_batch_size > 0 else 0
    shape = tensor.shape[:batch] + carry_sizes(tensor.shape[batch:], declared.model_dims, declared.dims)
    return replace(tensor, shape=shape)
