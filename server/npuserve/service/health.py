"""ServerLive, ServerReady, ModelReady and grpc.health.v1: whether requests can be answered."""

import asyncio
from collections.abc import AsyncIterator

from npuserve._proto import health_pb2, inference_pb2
from npuserve.core.errors import ServeError
from npuserve.repository.registry import ModelRegistry
from npuserve.service.call import Call

_Status = health_pb2.HealthCheckResponse.ServingStatus


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
        return health_pb2.HealthCheckResponse(status=self._server_status())

    async def watch(
        self, requests: AsyncIterator[health_pb2.HealthCheckRequest], call: Call
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """Yield the state of what the first request names, now and whenever it changes, until the server stops.

        The empty service is the whole server, `name` a model of any version, `name/version` one version. What is not
        known may become so: it is SERVICE_UNKNOWN, and the watch goes on.
        """
        request = await anext(requests, None)
        service = "" if request is None else request.service
        changed = asyncio.Event()
        end_watch = self._registry.watch(changed.set)
        last: int | None = None
        try:
            while True:
                changed.clear()
                status = self._status(service)
                if status != last:
                    yield health_pb2.HealthCheckResponse(status=status)
                    last = status
                elif self._registry.is_closing:
                    return
                else:
                    await changed.wait()
        finally:
            end_watch()

    def _server_status(self) -> health_pb2.HealthCheckResponse.ServingStatus:
        return _Status.SERVING if self._registry.ready() else _Status.NOT_SERVING

    def _status(self, service: str) -> health_pb2.HealthCheckResponse.ServingStatus:
        if not service:
            return self._server_status()
        name, _, version = service.partition("/")
        if not self._registry.knows(name):
            return _Status.SERVICE_UNKNOWN
        try:
            is_ready = self._registry.model_ready(name, version) and not self._registry.is_closing
        except ServeError:
            return _Status.SERVICE_UNKNOWN
        return _Status.SERVING if is_ready else _Status.NOT_SERVING
