"""The HTTP handler over a real registry of identity models, called without a socket."""

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from npuserve._proto.model_config_pb2 import DataType, ModelConfig, ModelInput, ModelOutput
from npuserve.config.restricted import parse_restrictions
from npuserve.core.dtype import Dtype
from npuserve.core.errors import ServeError
from npuserve.core.execution import ExecuteRequest, ExecuteResult
from npuserve.core.signature import ModelSignature, TensorSpec
from npuserve.core.status import StatusCode
from npuserve.core.tensor import Tensor
from npuserve.observability.logging import LogOptions, LogSettings
from npuserve.observability.requests import RequestObserver
from npuserve.observability.statistics import Duration, ModelStatistics
from npuserve.observability.tracing import TraceSetting, TraceSettings
from npuserve.repository.loading import ModelLoader
from npuserve.repository.registry import ModelRegistry
from npuserve.service.inference import InferenceService
from npuserve.service.methods import UnaryHandler
from npuserve.service.regions import SharedMemoryRegions
from npuserve.service.rest.exchange import HttpRequest, HttpResponse
from npuserve.service.rest.infer_request import InferDecoder
from npuserve.service.rest.service import RestHandler, RestService
from npuserve.service.settings import LogSettingsService
from npuserve.service.table import TableOptions, method_table
from npuserve.service.trace import TraceService

LOCAL = "ipv4:127.0.0.1:5"


@dataclass(frozen=True)
class Answer:
    """A response, its body whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        document = self.json
        assert list(document) == ["error"]
        return str(document["error"])


async def gathered(response: HttpResponse) -> Answer:
    body = response.body if isinstance(response.body, bytes) else b"".join([part async for part in response.body])
    return Answer(response.status, {name.lower(): value for name, value in response.headers}, body)


class Rest:
    """Calls a handler. registry, log_settings, trace_settings are what it answers from."""

    def __init__(
        self,
        registry: ModelRegistry,
        *,
        observer: RequestObserver | None = None,
        restricted: Sequence[str] = (),
        forward: str = "",
        max_input_bytes: int = 1 << 20,
    ) -> None:
        self.registry = registry
        self.log_settings = LogSettings(LogOptions(), logging.NullHandler())
        self.trace_settings = TraceSettings(TraceSetting(), file="/tmp/t.json")
        self.inference = InferenceService(observer)
        self.inference.serve(registry)
        regions = SharedMemoryRegions()
        trace = TraceService(registry, self.trace_settings)
        families: dict[str, UnaryHandler] = {
            "LogSettings": LogSettingsService(self.log_settings).log_settings,
            "TraceSetting": trace.trace_setting,
        }
        options = TableOptions(server_id="s", server_version="1", regions=regions, families=(families,))
        self.methods = method_table(registry, self.inference, options)
        self._handler = RestHandler(
            RestService(
                inference=self.inference,
                methods=self.methods,
                decoder=InferDecoder(regions, re.compile(forward) if forward else None),
                log_settings=self.log_settings,
                trace=trace,
                trace_settings=self.trace_settings,
                restrictions=parse_restrictions("--http-restricted-api", restricted, noun="api"),
                max_input_bytes=max_input_bytes,
            )
        )

    async def call(
        self, method: str, path: str, body: bytes | str | object = b"", *, peer: str = LOCAL, **headers: str
    ) -> Answer:
        """Call; an object as body is sent as JSON; header names are given with `_` for `-`."""
        if isinstance(body, str):
            body = body.encode()
        elif not isinstance(body, bytes):
            body = json.dumps(body).encode()
        named = {name.replace("_", "-").lower(): value for name, value in headers.items()}
        request = HttpRequest(method=method, path=path, headers=named, body=body, peer=peer)
        return await gathered(await self._handler(request))

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.call("GET", path, **headers)

    async def post(self, path: str, body: bytes | str | object = b"", **headers: str) -> Answer:
        return await self.call("POST", path, body, **headers)

    async def infer(self, model: str, body: bytes | str | object = b"", **headers: str) -> Answer:
        return await self.post(f"/v2/models/{model}/infer", body, **headers)


class CopyExecutor:
    """Copies each input to the output of its place.

    A decoupled model answers as often as its input `N` says (once without it); below 0, or after 7 answers, it fails.
    If `N` is 100 it answers once before.
    """

    def __init__(self, signature: ModelSignature) -> None:
        self._signature = signature
        self.requests: list[ExecuteRequest] = []

    @property
    def signature(self) -> ModelSignature:
        return self._signature

    @property
    def sink(self) -> None:
        return None

    async def execute(self, request: ExecuteRequest) -> ExecuteResult:
        await asyncio.sleep(0)
        self.requests.append(request)
        places = {spec.name: place for place, spec in enumerate(self._signature.inputs)}
        outputs = []
        for tensor in request.inputs:
            name = self._signature.outputs[places[tensor.name]].name
            outputs.append(Tensor(name, tensor.dtype, tensor.shape, bytes(tensor.data)))
        return ExecuteResult(outputs=outputs, parameters={} if not request.parameters else {"kept": 1})

    async def stream(self, request: ExecuteRequest) -> AsyncIterator[ExecuteResult]:
        given = [tensor for tensor in request.inputs if tensor.name == "N"]
        count = int(np.frombuffer(given[0].data, "<i4")[0]) if given else 1
        if count < 0:
            raise ServeError(StatusCode.INTERNAL, "model says no")
        for _ in range(1 if count == 100 else count):
            result = await self.execute(request)
            yield replace(result, outputs=[tensor for tensor in result.outputs if tensor.name != "N_OUT"])
        if count in (7, 100):
            raise ServeError(StatusCode.INTERNAL, "late no")

    def statistics(self) -> ModelStatistics:
        count = len(self.requests)
        return ModelStatistics(inference_count=count, execution_count=count, success=Duration(count, count * 1500))

    async def close(self) -> None:
        await asyncio.sleep(0)


class CopyBackend:
    """Makes models of backend `copy` from their configs alone."""

    needs_model_file = False

    async def device_count(self) -> int:
        return 0

    async def describe(self, path: Path, config: ModelConfig) -> ModelSignature:
        batch = (-1,) if config.max_batch_size else ()
        dtypes = {dtype.config_name: dtype for dtype in Dtype}

        def specs(tensors: Iterable[ModelInput | ModelOutput]) -> tuple[TensorSpec, ...]:
            return tuple(
                TensorSpec(tensor.name, dtypes[DataType.Name(tensor.data_type)], batch + tuple(tensor.dims))
                for tensor in tensors
            )

        return ModelSignature(inputs=specs(config.input), outputs=specs(config.output), gears=())

    async def load(self, path: Path, config: ModelConfig, signature: ModelSignature) -> CopyExecutor:
        return CopyExecutor(signature)

    async def close(self) -> None:
        pass


def add_copy_model(repository: Path, name: str, config: str) -> None:
    """Put a model of backend `copy` into a repository."""
    (repository / name / "1").mkdir(parents=True)
    (repository / name / "config.pbtxt").write_text(f'backend: "copy"\n{config}')


def tensor_config(kind: str, name: str, dtype: str, *dims: int, rest: str = "") -> str:
    """An `input` or `output` of a config."""
    return f'{kind} {{ name: "{name}" data_type: TYPE_{dtype} dims: {list(dims)} {rest} }}\n'


@asynccontextmanager
async def loaded_registry(repository: Path) -> AsyncIterator[ModelRegistry]:
    """A registry that has loaded a repository of models of backend `copy`."""
    registry = ModelRegistry(ModelLoader({"copy": CopyBackend()}))
    await registry.load_all([repository])
    try:
        yield registry
    finally:
        await registry.close()


def with_binary(document: object, *blobs: bytes) -> tuple[bytes, dict[str, str]]:
    """Return a body of JSON and blobs, and the header that says where the JSON ends."""
    text = json.dumps(document).encode()
    return b"".join((text, *blobs)), {"inference_header_content_length": str(len(text))}
