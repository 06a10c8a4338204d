"""The HTTP/REST protocol as one handler: what a front end calls with every request."""

import logging
from dataclasses import dataclass, field

from npuserve.config.http_options import MAX_INPUT_BYTES
from npuserve.config.restricted import Restrictions
from npuserve.core.errors import ServeError
from npuserve.observability.logging import LogSettings
from npuserve.observability.tracing import TraceSettings
from npuserve.service.inference import InferenceService
from npuserve.service.methods import MethodTable
from npuserve.service.rest.answers import error_response, refusal
from npuserve.service.rest.calls import RpcCalls
from npuserve.service.rest.exchange import HttpRequest, HttpResponse
from npuserve.service.rest.generate import GenerateHandler
from npuserve.service.rest.infer import InferHandler
from npuserve.service.rest.infer_request import InferDecoder
from npuserve.service.rest.memory import MemoryHandlers
from npuserve.service.rest.models import ModelHandlers
from npuserve.service.rest.repository import RepositoryHandlers
from npuserve.service.rest.router import GET, GET_OR_POST, POST, Route, Router
from npuserve.service.rest.settings import LogHandler, TraceHandler
from npuserve.service.trace import TraceService

_log = logging.getLogger(__name__)

_MODEL = "/v2/models/([^/]+)(?:/versions/([0-9]+))?"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestService:
    """What HTTP is answered with.

    methods: the gRPC handlers, unrestricted: what is not inference is answered by them. decoder: has the same regions
    and header pattern as the front end's own. restrictions: by `--http-restricted-api`.
    max_input_bytes: bound of a body's JSON part, of a raw body, and of what a compressed body unpacks to.
    """

    inference: InferenceService
    methods: MethodTable
    decoder: InferDecoder
    log_settings: LogSettings
    trace: TraceService
    trace_settings: TraceSettings
    restrictions: Restrictions = field(default_factory=Restrictions)
    max_input_bytes: int = MAX_INPUT_BYTES


class RestHandler:
    """Answers HTTP requests. Never raises: what is not a client's error is 500, with the details in the log."""

    def __init__(self, service: RestService) -> None:
        self._router = Router(_routes(service), service.restrictions.keys)

    async def __call__(self, http: HttpRequest) -> HttpResponse:
        """Return the response to a request."""
        try:
            return await self._router.answer(http)
        except ServeError as error:
            return error_response(error)
        except Exception:
            _log.exception("unexpected error while answering %s %s", http.method, http.path)
            return refusal(500, "unexpected error")


def _routes(service: RestService) -> list[Route]:
    """Return the routes, inference first, as most requests are."""
    calls = RpcCalls(service.methods)
    infer = InferHandler(service.inference, service.decoder, service.max_input_bytes)
    generate = GenerateHandler(service.inference, service.decoder, service.max_input_bytes)
    return [
        Route(f"{_MODEL}/infer", POST, "inference", infer.infer),
        Route(f"{_MODEL}/generate", POST, "inference", generate.generate),
        Route(f"{_MODEL}/generate_stream", POST, "inference", generate.generate_stream),
        *_model_routes(ModelHandlers(calls)),
        *_repository_routes(RepositoryHandlers(calls)),
        *_memory_routes(calls),
        *_setting_routes(service),
    ]


def _model_routes(models: ModelHandlers) -> list[Route]:
    return [
        Route("/v2/health/live", GET, "health", models.live),
        Route("/v2/health/ready", GET, "health", models.ready),
        Route(f"{_MODEL}/ready", GET, "health", models.model_ready),
        Route("/v2", GET, "metadata", models.server_metadata),
        Route("/v2/models/stats", GET, "statistics", models.statistics),
        Route(f"{_MODEL}/stats", GET, "statistics", models.statistics),
        Route(f"{_MODEL}/config", GET, "model-config", models.model_config),
        Route(_MODEL, GET, "metadata", models.model_metadata),
    ]


def _repository_routes(repository: RepositoryHandlers) -> list[Route]:
    named = "/v2/repository/(?:([^/]+)/)?models/([^/]+)"
    return [
        Route("/v2/repository/(?:[^/]+/)?index", POST, "model-repository", repository.index),
        Route(f"{named}/load", POST, "model-repository", repository.load),
        Route(f"{named}/unload", POST, "model-repository", repository.unload),
    ]


def _memory_routes(calls: RpcCalls) -> list[Route]:
    routes: list[Route] = []
    for kind in ("System", "Cuda"):
        memory = MemoryHandlers(calls, kind)
        path = f"/v2/{kind.lower()}sharedmemory(?:/region/([^/]+))?"
        routes += [
            Route(f"{path}/status", GET, "shared-memory", memory.status),
            Route(f"{path}/register", POST, "shared-memory", memory.register),
            Route(f"{path}/unregister", POST, "shared-memory", memory.unregister),
        ]
    return routes


def _setting_routes(service: RestService) -> list[Route]:
    trace = TraceHandler(service.trace, service.trace_settings)
    log = LogHandler(service.log_settings)
    return [
        Route("/v2/trace/setting", GET_OR_POST, "trace", trace.settings),
        Route("/v2/models/([^/]+)/trace/setting", GET_OR_POST, "trace", trace.settings),
        Route("/v2/logging", GET_OR_POST, "logging", log.settings),
    ]
