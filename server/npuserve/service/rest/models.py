"""Health, metadata, config and statistics over HTTP."""

from npuserve.config.message_json import message_json
from npuserve.core.errors import ServeError
from npuserve.core.status import StatusCode
from npuserve.service.rest.answers import EMPTY, json_response, refusal
from npuserve.service.rest.calls import RpcCalls
from npuserve.service.rest.exchange import HttpRequest, HttpResponse

_NOT_READY = "Model version not ready"


class ModelHandlers:
    """Answers for the server and its models."""

    def __init__(self, calls: RpcCalls) -> None:
        self._calls = calls

    async def live(self, http: HttpRequest) -> HttpResponse:
        """Return 200, or 400 if the server is not live. Raises ServeError."""
        response = await self._calls.call("ServerLive", http)
        return EMPTY if response.live else HttpResponse(status=400)

    async def ready(self, http: HttpRequest) -> HttpResponse:
        """Return 200, or 400 if the server is not ready. Raises ServeError."""
        response = await self._calls.call("ServerReady", http)
        return EMPTY if response.ready else HttpResponse(status=400)

    async def server_metadata(self, http: HttpRequest) -> HttpResponse:
        """Return name, version and extensions."""
        return json_response(message_json(await self._calls.call("ServerMetadata", http)))

    async def model_ready(self, http: HttpRequest, model: str, version: str) -> HttpResponse:
        """Return 200, or 400 if no such version is ready. Raises ServeError."""
        try:
            response = await self._calls.call("ModelReady", http, name=model, version=version)
        except ServeError as error:
            if error.status is not StatusCode.INVALID_ARGUMENT:
                raise
            return refusal(400, _NOT_READY)
        return EMPTY if response.ready else refusal(400, _NOT_READY)

    async def model_metadata(self, http: HttpRequest, model: str, version: str) -> HttpResponse:
        """Return the model's versions and tensors. Raises ServeError."""
        return json_response(message_json(await self._calls.call("ModelMetadata", http, name=model, version=version)))

    async def model_config(self, http: HttpRequest, model: str, version: str) -> HttpResponse:
        """Return the effective config. Raises ServeError."""
        response = await self._calls.call("ModelConfig", http, name=model, version=version)
        return json_response(message_json(response.config))

    async def statistics(self, http: HttpRequest, model: str = "", version: str = "") -> HttpResponse:
        """Return the counters of one version, a model's, or all. Raises ServeError."""
        response = await self._calls.call("ModelStatistics", http, name=model, version=version)
        return json_response({"model_stats": [_in_tritons_order(message_json(each)) for each in response.model_stats]})


def _in_tritons_order(counters: dict[str, object]) -> dict[str, object]:
    moved = ("response_stats", "batch_stats", "memory_usage")
    return {key: counters[key] for key in (*(key for key in counters if key not in moved), *moved)}
