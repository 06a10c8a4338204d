"""Composes the handlers into the method table that every front end serves."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from npuserve._proto import POOL, health_pb2, inference_pb2, reflection_pb2, reflection_v1alpha_pb2
from npuserve.repository.registry import ModelRegistry
from npuserve.service.control import ControlService
from npuserve.service.decode import RequestDecoder
from npuserve.service.health import HealthService
from npuserve.service.infer_rpc import InferRpc
from npuserve.service.inference import InferenceService
from npuserve.service.metadata import MetadataService, extensions
from npuserve.service.methods import Method, MethodTable, StreamHandler, StreamMethod, UnaryHandler, UnaryMethod
from npuserve.service.reflection import ReflectionService
from npuserve.service.regions import SharedMemoryRegions
from npuserve.service.shared_memory import SharedMemoryService
from npuserve.service.statistics import StatisticsService
from npuserve.service.stream import StreamRpc

_INFERENCE = inference_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]
_HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"]
_REFLECTIONS = (reflection_pb2, reflection_v1alpha_pb2)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableOptions:
    """What a server answers with besides its models.

    regions: the shared memory that its clients registered; the HTTP front end has the same.
    forwarded_headers: the headers of a call that become parameters of its requests.
    families: further handlers of the inference service's calls, by name.
    """

    server_id: str
    server_version: str
    regions: SharedMemoryRegions = field(default_factory=SharedMemoryRegions)
    forwarded_headers: re.Pattern[str] | None = None
    families: Sequence[Mapping[str, UnaryHandler]] = ()


def method_table(registry: ModelRegistry, inference: InferenceService, options: TableOptions) -> MethodTable:
    """Return all that the server answers.

    What is not in the table is UNIMPLEMENTED without a word, which is for the front end to answer.
    """
    health = HealthService(registry)
    decoder = RequestDecoder(options.regions, forwarded=options.forwarded_headers)
    handlers: dict[str, UnaryHandler] = {
        "ServerLive": health.server_live,
        "ServerReady": health.server_ready,
        "ModelReady": health.model_ready,
        "ModelInfer": InferRpc(inference, decoder).model_infer,
        "ModelStatistics": StatisticsService(registry).model_statistics,
        **_shared_memory_handlers(SharedMemoryService(options.regions)),
        **ControlService(registry).handlers(),
    }
    for family in options.families:
        handlers |= family
    handlers |= _metadata_handlers(registry, options, handlers)
    services = [
        _INFERENCE,
        _HEALTH,
        *(module.DESCRIPTOR.services_by_name["ServerReflection"] for module in _REFLECTIONS),
    ]
    names = sorted(service.full_name for service in services)
    reflections = [
        _stream(service, "ServerReflectionInfo", ReflectionService(module, POOL, names).server_reflection_info)
        for module, service in zip(_REFLECTIONS, services[2:], strict=True)
    ]
    return MethodTable(
        _unary(_INFERENCE, handlers),
        [_stream(_INFERENCE, "ModelStreamInfer", StreamRpc(inference, decoder).model_stream_infer)],
        _unary(_HEALTH, {"Check": health.check}),
        [_stream(_HEALTH, "Watch", health.watch)],
        reflections,
    )


def _metadata_handlers(
    registry: ModelRegistry, options: TableOptions, others: Mapping[str, UnaryHandler]
) -> dict[str, UnaryHandler]:
    metadata = MetadataService(
        registry,
        server_id=options.server_id,
        server_version=options.server_version,
        extensions=extensions({*others, "ModelConfig"}),
    )
    return {
        "ServerMetadata": metadata.server_metadata,
        "ModelMetadata": metadata.model_metadata,
        "ModelConfig": metadata.model_config,
    }


def _shared_memory_handlers(memory: SharedMemoryService) -> dict[str, UnaryHandler]:
    return {
        "SystemSharedMemoryStatus": memory.system_status,
        "SystemSharedMemoryRegister": memory.system_register,
        "SystemSharedMemoryUnregister": memory.system_unregister,
        "CudaSharedMemoryStatus": memory.cuda_status,
        "CudaSharedMemoryRegister": memory.cuda_register,
        "CudaSharedMemoryUnregister": memory.cuda_unregister,
    }


def _unary(service: ServiceDescriptor, handlers: Mapping[str, UnaryHandler]) -> list[Method]:
    return [UnaryMethod(*_described(service, name), handler) for name, handler in handlers.items()]


def _stream(service: ServiceDescriptor, name: str, handler: StreamHandler) -> Method:
    return StreamMethod(*_described(service, name), handler)


def _described(service: ServiceDescriptor, name: str) -> tuple[str, type[Message], type[Message]]:
    """Return a method's path and message classes."""
    method = service.methods_by_name[name]
    return f"/{service.full_name}/{name}", GetMessageClass(method.input_type), GetMessageClass(method.output_type)
