"""ServerMetadata, ModelMetadata, ModelConfig: what the server and its models say of themselves."""

from collections.abc import Container, Iterable

from npuserve._proto import inference_pb2 as pb
from npuserve.repository.registry import ModelRegistry
from npuserve.service.call import Call
from npuserve.service.interface import DeclaredTensor, ModelInterface, interface_of

# In Triton's order, each with the call that it needs.
_EXTENSIONS = {
    "classification": "ModelInfer",
    "sequence": "ModelInfer",
    "model_repository": "RepositoryIndex",
    "model_repository(unload_dependents)": "RepositoryModelUnload",
    "schedule_policy": "ModelInfer",
    "model_configuration": "ModelConfig",
    "system_shared_memory": "SystemSharedMemoryRegister",
    "binary_tensor_data": "ModelInfer",
    "parameters": "ModelInfer",
    "statistics": "ModelStatistics",
    "trace": "TraceSetting",
    "logging": "LogSettings",
}


def extensions(offered: Container[str]) -> tuple[str, ...]:
    """Return the extensions that a server has whose calls are those offered.

    Only what is there: load generators test this list before they use an extension.
    """
    return tuple(extension for extension, call in _EXTENSIONS.items() if call in offered)


class MetadataService:
    """Answers for the server, whose name, version and extensions are given, and for the models of a registry."""

    def __init__(
        self, registry: ModelRegistry, *, server_id: str, server_version: str, extensions: Iterable[str]
    ) -> None:
        self._registry = registry
        self._server = pb.ServerMetadataResponse(name=server_id, version=server_version, extensions=extensions)

    async def server_metadata(self, request: pb.ServerMetadataRequest, call: Call) -> pb.ServerMetadataResponse:
        """Return name, version and extensions."""
        return self._server

    async def model_metadata(self, request: pb.ModelMetadataRequest, call: Call) -> pb.ModelMetadataResponse:
        """Return the model's ready versions and its tensors, with the batch dimension as -1. Raises ServeError."""
        versions = self._registry.find(request.name, request.version)
        config = versions[-1].config
        model = interface_of(config)
        return pb.ModelMetadataResponse(
            name=config.name,
            versions=[str(version.version) for version in versions],
            platform=config.platform or config.backend,
            inputs=_tensors(model, model.inputs.values()),
            outputs=_tensors(model, model.outputs.values()),
        )

    async def model_config(self, request: pb.ModelConfigRequest, call: Call) -> pb.ModelConfigResponse:
        """Return the effective config. Raises ServeError."""
        return pb.ModelConfigResponse(config=self._registry.lookup(request.name, request.version).config)


def _tensors(model: ModelInterface, tensors: Iterable[DeclaredTensor]) -> list[pb.ModelMetadataResponse.TensorMetadata]:
    return [
        pb.ModelMetadataResponse.TensorMetadata(
            name=tensor.name, datatype=tensor.dtype.value, shape=model.full_dims(tensor)
        )
        for tensor in tensors
    ]
