"""RepositoryIndex, RepositoryModelLoad, RepositoryModelUnload: what the repositories hold, and what of it is served."""

from collections.abc import Mapping

from npuserve._proto.inference_pb2 import (
    ModelRepositoryParameter,
    RepositoryIndexRequest,
    RepositoryIndexResponse,
    RepositoryModelLoadRequest,
    RepositoryModelLoadResponse,
    RepositoryModelUnloadRequest,
    RepositoryModelUnloadResponse,
)
from npuserve.core.errors import ServeError
from npuserve.core.status import StatusCode
from npuserve.repository.overrides import LoadParameter
from npuserve.repository.registry import ModelRegistry
from npuserve.service.call import Call
from npuserve.service.methods import UnaryHandler


class ControlService:
    """Lists, loads and unloads the models of a registry."""

    def __init__(self, registry: ModelRegistry) -> None:
        self._registry = registry

    def handlers(self) -> dict[str, UnaryHandler]:
        """Return the handlers by the names of their calls."""
        return {
            "RepositoryIndex": self.repository_index,
            "RepositoryModelLoad": self.repository_model_load,
            "RepositoryModelUnload": self.repository_model_unload,
        }

    async def repository_index(self, request: RepositoryIndexRequest, call: Call) -> RepositoryIndexResponse:
        """List every model, or those that are ready. Raises ServeError."""
        _refuse_repository_name(request.repository_name)
        try:
            await self._registry.refresh_index()
        except OSError as error:
            raise ServeError(StatusCode.INTERNAL, f"failed to list the model repositories: {error.strerror}") from error
        response = RepositoryIndexResponse()
        for entry in self._registry.index(ready_only=request.ready):
            response.models.add(name=entry.name, version=entry.version, state=entry.state, reason=entry.reason)
        return response

    async def repository_model_load(
        self, request: RepositoryModelLoadRequest, call: Call
    ) -> RepositoryModelLoadResponse:
        """Load a model and answer when it is ready. Raises ServeError."""
        _refuse_repository_name(request.repository_name)
        await self._registry.load_model(request.model_name, _parameters(request.parameters))
        return RepositoryModelLoadResponse()

    async def repository_model_unload(
        self, request: RepositoryModelUnloadRequest, call: Call
    ) -> RepositoryModelUnloadResponse:
        """Unload a model; its accepted requests are answered after this is. Raises ServeError."""
        _refuse_repository_name(request.repository_name)
        await self._registry.unload_model(request.model_name, _parameters(request.parameters))
        return RepositoryModelUnloadResponse()


def _refuse_repository_name(name: str) -> None:
    if name:
        raise ServeError(StatusCode.UNIMPLEMENTED, "'repository_name' specification is not supported")


def _parameters(given: Mapping[str, ModelRepositoryParameter]) -> dict[str, LoadParameter]:
    """Return parameters by name; one without a value counts as 0, which no parameter takes."""
    parameters: dict[str, LoadParameter] = {}
    for name, parameter in given.items():
        choice = parameter.WhichOneof("parameter_choice")
        parameters[name] = 0 if choice is None else getattr(parameter, choice)
    return parameters
