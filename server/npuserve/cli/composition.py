"""Composes the rooms of a server from its options, and runs it."""

import asyncio
import logging
import os
import re
import shutil
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack

from npuserve import __version__
from npuserve.cli.observers import Observers
from npuserve.cli.start_tables import log_models, log_options
from npuserve.config.grpc_options import GrpcOptions
from npuserve.config.http_options import HttpOptions
from npuserve.config.options import ServerOptions
from npuserve.execution.ascend import AscendBackend
from npuserve.execution.backend import Backend
from npuserve.execution.ensemble import EnsembleBackend
from npuserve.execution.identity import IdentityBackend
from npuserve.execution.onnxruntime import OnnxRuntimeBackend
from npuserve.execution.python_model.backend import PythonBackend
from npuserve.execution.python_model.metrics import CustomMetrics
from npuserve.execution.response_cache import ResponseCache
from npuserve.execution.sharing import DeviceSharing
from npuserve.execution.tokenizer import TokenizerBackend
from npuserve.migrate.shadow import Shadow
from npuserve.observability.exposition import Family, Sample
from npuserve.observability.logging import LogSettings
from npuserve.observability.npu_smi import NpuSmi
from npuserve.observability.otel import MissingExtraError
from npuserve.repository.loading import ModelLoader
from npuserve.repository.registry import ModelRegistry
from npuserve.service.inference import InferenceService
from npuserve.service.methods import MethodTable
from npuserve.service.metrics import MetricsService, MetricsSources
from npuserve.service.mirrored import MirroredModels
from npuserve.service.regions import SharedMemoryRegions
from npuserve.service.rest.infer_request import InferDecoder
from npuserve.service.rest.service import RestHandler, RestService
from npuserve.service.restricted import restricted
from npuserve.service.routes import InferRoutes
from npuserve.service.settings import LogSettingsService
from npuserve.service.table import TableOptions, method_table
from npuserve.service.trace import TraceService
from npuserve.transport.front_end import FrontEnd, FrontEndError
from npuserve.transport.http import HttpFrontEnd
from npuserve.transport.lifecycle import Ending, Lifecycle

_log = logging.getLogger(__name__)


async def serve(options: ServerOptions, log_settings: LogSettings, shadow: Shadow | None = None) -> int:
    """Serve until told to stop; return the exit code. shadow: is told of requests, if there is one."""
    try:
        observers = Observers(log_settings, options.trace, options.metrics, options.log_slow_requests_ms)
        server = _Server(options, observers, shadow)
        ending = await server.run()
    except (FrontEndError, MissingExtraError) as error:
        print(f"npuserve serve: error: {error}", file=sys.stderr)
        return 1
    except ExceptionGroup:
        _log.exception("the server did not stop cleanly")
        return 1
    if ending is Ending.OUT_OF_TIME:
        # Tasks and device threads that did not end in time must not hold the process.
        logging.shutdown()
        os._exit(1)
    if ending is Ending.FAILED_TO_START:
        print("error: creating server: see the lines above", file=sys.stderr)
    return 0 if ending is Ending.CLEAN else 1


class _Server:
    """The rooms of one server, each made with what it needs of the others.

    Raises FrontEndError if the TLS files cannot be used.
    """

    def __init__(self, options: ServerOptions, observers: Observers, shadow: Shadow | None) -> None:
        self._options = options
        self._shadow = shadow
        self._observers = observers
        self._inference = InferenceService(observers.all)
        python = PythonBackend(self._inference)
        self._npu_smi = NpuSmi(shutil.which("npu-smi"))
        sharing = DeviceSharing(options.sharing)
        ascend = AscendBackend(options.acl_candidates, self._npu_smi.read, sharing)
        self._loader = _loader(options, self._inference, python, ascend, sharing)
        self._registry = ModelRegistry(
            self._loader,
            load_concurrency=options.model_load_concurrency,
            strict_readiness=options.strict_readiness,
            control=options.control,
        )
        self._inference.serve(self._registry)
        self._regions = SharedMemoryRegions(allow=options.allow_client_shm)
        self._regions.follow(ascend.regions)
        self._trace = TraceService(self._registry, observers.trace_settings)
        self._metrics = MetricsService(
            self._registry,
            options.metrics,
            MetricsSources(
                latencies=observers.latencies,
                devices=ascend.device_samples,
                custom=lambda: [
                    *ascend.memory.families(),
                    *(shadow.families() if shadow is not None else ()),
                    *_custom_families(python.metrics),
                ],
            ),
        )
        self._front_ends: list[FrontEnd] = []
        if options.grpc is not None:
            self._front_ends.append(self._grpc(options.grpc))
        if options.http is not None:
            self._front_ends.append(self._http(options.http))

    async def run(self) -> Ending:
        """Serve until told to stop. Raises ExceptionGroup if models failed to close."""
        options = self._options
        endpoint = options.metrics_endpoint
        lifecycle = Lifecycle(
            models=self._registry,
            front_ends=tuple(self._front_ends),
            watching=() if endpoint is None else (HttpFrontEnd(self._metrics, endpoint, title="Metrics Service"),),
            when_loaded=self._tell_start,
            close_backends=self._loader.close,
            repositories=options.model_repositories,
            exit_on_error=options.exit_on_error,
            exit_timeout_secs=options.exit_timeout_secs,
        )
        async with AsyncExitStack() as stack:
            stack.push_async_callback(asyncio.to_thread, self._observers.close)
            if endpoint is not None:
                self._metrics.start()
                stack.callback(self._npu_smi.close)
                stack.push_async_callback(self._metrics.close)
            return await lifecycle.run()

    def _tell_start(self) -> None:
        log_models(self._registry.index())
        log_options(self._options)

    def _methods(self, forwarded_headers: re.Pattern[str] | None = None) -> MethodTable:
        return method_table(
            self._registry,
            self._inference,
            TableOptions(
                server_id=self._options.server_id,
                server_version=__version__,
                regions=self._regions,
                forwarded_headers=forwarded_headers,
                families=[
                    {"LogSettings": LogSettingsService(self._observers.log_settings).log_settings},
                    {"TraceSetting": self._trace.trace_setting},
                ],
            ),
        )

    def _grpc(self, options: GrpcOptions) -> FrontEnd:
        """Return the front end that was asked for; the other one's libraries stay out of the process."""
        methods = restricted(self._methods(options.forwarded_headers), options.restrictions)
        if options.frontend == "grpcio":
            from npuserve.transport.grpc_aio import GrpcAioFrontEnd

            return GrpcAioFrontEnd(methods, options)
        from npuserve.transport.wire import WireFrontEnd

        front_end = WireFrontEnd(
            methods,
            self._routes(options),
            options,
            self._observers.all,
            regions=self._regions,
            mirrored=None if self._shadow is None else MirroredModels(self._registry, self._shadow.mirror),
        )
        self._observers.watch(front_end.ask_observer)
        return front_end

    def _http(self, options: HttpOptions) -> FrontEnd:
        handler = RestHandler(
            RestService(
                inference=self._inference,
                methods=self._methods(),
                decoder=InferDecoder(self._regions, options.forwarded_headers),
                log_settings=self._observers.log_settings,
                trace=self._trace,
                trace_settings=self._observers.trace_settings,
                restrictions=options.restrictions,
                max_input_bytes=options.max_input_bytes,
            )
        )
        front_end = HttpFrontEnd(handler, options, routes=self._routes(options), observer=self._observers.all)
        self._observers.watch(front_end.ask_observer)
        return front_end

    def _routes(self, options: GrpcOptions | HttpOptions) -> InferRoutes:
        """Return the inferences that need no Python: none where a key or a header's value must be looked at."""
        needs_headers = "inference" in options.restrictions.keys or options.forwarded_headers is not None
        return InferRoutes(self._registry, is_open=not needs_headers)


def _custom_families(metrics: CustomMetrics) -> list[Family]:
    """Return what Python models tell of themselves."""
    return [
        Family(
            name=family.name,
            kind=family.kind,
            help=family.description,
            samples=[Sample(dict(labels), value) for labels, value in family.values.items()],
        )
        for family in metrics.families()
    ]


def _loader(
    options: ServerOptions,
    inference: InferenceService,
    python: PythonBackend,
    ascend: AscendBackend,
    sharing: DeviceSharing,
) -> ModelLoader:
    backends: Mapping[str, Backend] = {
        "ascend": ascend,
        "identity": IdentityBackend(sharing),
        "onnxruntime": OnnxRuntimeBackend(sharing),
        "python": python,
        "tokenizer": TokenizerBackend(),
        "ensemble": EnsembleBackend(inference),
    }
    return ModelLoader(
        backends,
        auto_complete=not options.disable_auto_complete_config,
        default_max_batch_sizes=options.default_max_batch_sizes,
        cache=ResponseCache(options.response_cache_bytes) if options.response_cache_bytes else None,
    )
