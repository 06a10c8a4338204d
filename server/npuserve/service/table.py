"""Composes the handlers into the method table that every front end serves."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from npuserve._proto import POOL, health_pb2, inference_pb2, reflection_pb2, reflection_v1alpha_pb2
from npuserve.core.errors import ServeError
from npuserve.core.status import StatusCode
from npuserve.repository.registry import ModelRegistry
from npuserve.service.call import Call
from npuserve.service.health import HealthService
from npuserve.service.infer_rpc import InferRpc
from npuserve.service.inference import InferenceService
from npuserve.service.metadata import MetadataService
from npuserve.service.methods import Method, MethodTable, StreamHandler, StreamMethod, UnaryHandler, UnaryMethod
from npuserve.service.reflection import ReflectionService
from npuserve.service.statistics import StatisticsService

_INFERENCE = inference_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]
_HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"]
_REFLECTIONS = (reflection_pb2, reflection_v1alpha_pb2)


def method_table(
    registry: ModelRegistry, inference: InferenceService, *, server_id: str, server_version: str
) -> MethodTable:
    """Return all that the server answers.

    Methods of the inference protocol that this version lacks are in the table and say so; anything else that is not in
    it (grpc.health.v1 Watch, as in Triton) is UNIMPLEMENTED without a word, which is for the front end to answer.
    """
    health = HealthService(registry)
    metadata = MetadataService(registry, server_id=server_id, server_version=server_version)
    handlers: dict[str, UnaryHandler] = {
        "ServerLive": health.server_live,
        "ServerReady": health.server_ready,
        "ModelReady": health.model_ready,
        "ServerMetadata": metadata.server_metadata,
        "ModelMetadata": metadata.model_metadata,
        "ModelConfig": metadata.model_config,
        "ModelInfer": InferRpc(inference).model_infer,
        "ModelStatistics": StatisticsService(registry).model_statistics,
    }
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
        _unsupported(_INFERENCE, handlers),
        _unary(_HEALTH, {"Check": health.check}),
        reflections,
    )


def _unary(service: ServiceDescriptor, handlers: Mapping[str, UnaryHandler]) -> list[Method]:
    return [UnaryMethod(*_described(service, name), handler) for name, handler in handlers.items()]


def _stream(service: ServiceDescriptor, name: str, handler: StreamHandler) -> Method:
    return StreamMethod(*_described(service, name), handler)


def _described(service: ServiceDescriptor, name: str) -> tuple[str, type[Message], type[Message]]:
    """Return a method's path and message classes."""
    method = service.methods_by_name[name]
    return f"/{service.full_name}/{name}", GetMessageClass(method.input_type), GetMessageClass(method.output_type)


def _unsupported(service: ServiceDescriptor, handlers: Mapping[str, UnaryHandler]) -> list[Method]:
    """Return the service's other methods, which answer that this version lacks them."""
    missing: list[Method] = []
    for method in service.methods:
        if method.name in handlers:
            continue
        if method.client_streaming:
            missing.append(_stream(service, method.name, _streaming_refusal(method.name)))
        else:
            missing.extend(_unary(service, {method.name: _unary_refusal(method.name)}))
    return missing


def _refusal(name: str) -> ServeError:
    return ServeError(StatusCode.UNIMPLEMENTED, f"{name} is not supported by this version of npuserve")


def _unary_refusal(name: str) -> UnaryHandler:
    async def refuse(request: Any, call: Call) -> Message:
        raise _refusal(name)

    return refuse


def _streaming_refusal(name: str) -> StreamHandler:
    async def refuse(requests: AsyncIterator[Any], call: Call) -> AsyncIterator[Message]:
        raise _refusal(name)
        yield  # makes this a generator

    return refuse
