"""The metrics endpoint: collects what is known of models, host and devices, and tells it as Prometheus text."""

import asyncio
import contextlib
import logging
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from npuserve.config.batching import checks_finite
from npuserve.config.metrics_options import MetricsOptions
from npuserve.observability.exposition import Family, render
from npuserve.observability.latencies import LatencyRecorder
from npuserve.observability.machine import (
    DeviceSample,
    HostReader,
    HostSample,
    device_families,
    host_families,
    pinned_families,
    process_families,
)
from npuserve.observability.metrics import model_families
from npuserve.observability.snapshot import ModelSnapshot
from npuserve.repository.loading import LoadedModel
from npuserve.repository.registry import ModelRegistry
from npuserve.service.rest.answers import refusal
from npuserve.service.rest.exchange import HttpRequest, HttpResponse

_log = logging.getLogger(__name__)

_TEXT = ("Content-Type", "text/plain; charset=utf-8")
_NO_NAME = re.compile(r"[^a-zA-Z0-9_]")
_FIRST_RESPONSE = "nv_inference_first_response_histogram_ms"

Devices = Callable[[], Sequence[DeviceSample]]
"""Returns what the drivers tell of the accelerators. Called in a thread of its own; may block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsSources:
    """Where metrics come from besides the models.

    latencies: of single requests, an observer of them. devices: None if there are none to tell of.
    custom: the families that models made themselves.
    """

    latencies: LatencyRecorder
    devices: Devices | None = None
    custom: Callable[[], Iterable[Family]] = field(default=tuple)


class MachineSampler:
    """Asks host and devices every so often, within `running`; between, the last samples stand."""

    def __init__(self, options: MetricsOptions, devices: Devices | None) -> None:
        self._options = options
        self._ask_devices = devices if options.devices else None
        self._reader = HostReader() if options.host else None
        self.host: HostSample | None = None
        self.devices: Sequence[DeviceSample] = ()

    async def run(self) -> None:
        """Sample until cancelled."""
        while True:
            await self.sample()
            await asyncio.sleep(self._options.interval_ms / 1000)

    async def sample(self) -> None:
        """Ask once; who does not answer is left out until the next time."""
        try:
            self.host = self._reader.read() if self._reader is not None else None
        except OSError as error:
            self.host = None
            _log.debug("the host's counters cannot be read: %s", error)
        if self._ask_devices is None:
            return
        try:
            self.devices = await asyncio.to_thread(self._ask_devices)
        except Exception as error:
            self.devices = ()
            _log.warning("the devices cannot be asked for their metrics: %s", error)


class MetricsService:
    """Answers the metrics port: `GET /metrics`; any other path is empty, as in Triton. Start it, and close it."""

    def __init__(self, registry: ModelRegistry, options: MetricsOptions, sources: MetricsSources) -> None:
        self._registry = registry
        self._options = options
        self._sources = sources
        self._sampler = MachineSampler(options, sources.devices)
        self._task: asyncio.Task[None] | None = None
        self._set_buckets()
        registry.watch(self._set_buckets)

    def start(self) -> None:
        """Begin to sample the machine."""
        self._task = asyncio.create_task(self._sampler.run(), name="metrics sampler")

    async def close(self) -> None:
        """End the sampling. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def __call__(self, http: HttpRequest) -> HttpResponse:
        """Return the metrics. Never raises."""
        if http.method != "GET":
            return refusal(405, "Method Not Allowed")
        if http.path.partition("?")[0] != "/metrics":
            return HttpResponse(headers=(_TEXT,))
        try:
            return HttpResponse(headers=(_TEXT,), body=render(self._families()))
        except Exception:
            _log.exception("unexpected error while collecting the metrics")
            return refusal(500, "unexpected error")

    def _families(self) -> list[Family]:
        models = [loaded for ready in self._registry.ready_models() for loaded in ready]
        self._sources.latencies.forget({(loaded.name, str(loaded.version)) for loaded in models})
        quantiles = [quantile for quantile, _ in self._options.quantiles]
        return [
            *model_families(
                [self._snapshot(loaded) for loaded in models],
                durations=self._options.counter_latencies,
                quantiles=quantiles,
            ),
            *pinned_families(total_bytes=0, used_bytes=0),
            *host_families(self._sampler.host),
            *device_families(self._sampler.devices),
            *process_families(),
            *(_named_for_prometheus(family) for family in self._sources.custom()),
        ]

    def _set_buckets(self) -> None:
        """Count the first responses of models that say so in buckets of their own."""
        for loaded in (loaded for ready in self._registry.ready_models() for loaded in ready):
            for control in loaded.config.model_metrics.metric_control:
                if control.metric_identifier.family == _FIRST_RESPONSE and control.histogram_options.buckets:
                    bounds = tuple(sorted(control.histogram_options.buckets))
                    self._sources.latencies.set_buckets(loaded.name, str(loaded.version), bounds)

    def _snapshot(self, loaded: LoadedModel) -> ModelSnapshot:
        latencies, version = self._sources.latencies, str(loaded.version)
        return ModelSnapshot(
            model=loaded.name,
            version=version,
            statistics=loaded.executor.statistics(),
            tags=dict(loaded.config.metric_tags),
            has_cache=loaded.config.response_cache.enable,
            load_seconds=loaded.load_seconds,
            gear_rows=_gear_rows(loaded),
            summaries=latencies.summaries(loaded.name, version),
            first_responses=latencies.first_responses(loaded.name, version),
            golden=loaded.golden,
            checks_finite=checks_finite(loaded.config, loaded.signature),
        )


def _named_for_prometheus(family: Family) -> Family:
    """Return a model's own family; what Prometheus does not take in names, which are the model's, becomes `_`."""
    samples = [
        replace(sample, labels={_NO_NAME.sub("_", key): text for key, text in sample.labels.items()})
        for sample in family.samples
    ]
    return replace(family, name=_NO_NAME.sub("_", family.name), samples=samples)


def _gear_rows(loaded: LoadedModel) -> tuple[int, ...]:
    """Return the batch sizes that the model is compiled for, ascending; none if it does not batch."""
    if loaded.config.max_batch_size < 1:
        return ()
    sizes = {shape[0] for gear in loaded.signature.gears for shape in gear.input_shapes[:1] if shape}
    return tuple(sorted(size for size in sizes if size > 0))
