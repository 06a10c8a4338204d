"""ServerLive, ServerReady, ModelReady and grpc.health.v1: whether requests can be answered."""

from npuserve._proto import health_pb2, inference_pb2
from npuserve.repository.registry import ModelRegistry
from npuserve.service.call import Call


class HealthService:
    """Answers with the readiness of a registry."""

    def __init__(self, registry: ModelRegistry) -> None:
        self._registry = registry

    async def server_live(
        self, request: inference_pb2.ServerLiveRequest, call: Call
    ) -> inference_pb2.ServerLiveResponse:
        """Say that the server is there; a server that is not cannot answer."""
        return inference_pb2.ServerLiveResponse(live=True)

    async def server_ready(
        self, request: inference_pb2.ServerReadyRequest, call: Call
    ) -> inference_pb2.ServerReadyResponse:
        """Say whether the models are ready, as strictly as the registry was told."""
        return inference_pb2.ServerReadyResponse(ready=self._registry.ready())

    async def model_ready(
        self, request: inference_pb2.ModelReadyRequest, call: Call
    ) -> inference_pb2.ModelReadyResponse:
        """Say whether the version, or any version, is ready; an unknown model is not. Raises ServeError."""
        return inference_pb2.ModelReadyResponse(ready=self._registry.model_ready(request.name, request.version))

    async def check(self, request: health_pb2.HealthCheckRequest, call: Call) -> health_pb2.HealthCheckResponse:
        """Answer for the whole server, whichever service is named, as Triton does."""
        status = health_pb2.HealthCheckResponse.ServingStatus
        return health_pb2.HealthCheckResponse(status=status.SERVING if self._registry.ready() else status.NOT_SERVING)
