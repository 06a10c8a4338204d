"""Ensemble configs in short, and models that ensembles call without a server around them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from google.protobuf import text_format
from npuserve._proto import POOL
from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.core.errors import ServeError
from npuserve.core.execution import ExecuteRequest
from npuserve.core.request import InferenceRequest, InferenceResponse
from npuserve.core.status import StatusCode
from npuserve.core.tensor import Tensor
from npuserve.execution.executor import Executor

Wiring = tuple[str, dict[str, str], dict[str, str]]


def parse(text: str) -> ModelConfig:
    """A config from its text."""
    config = ModelConfig()
    text_format.Parse(text, config, descriptor_pool=POOL)
    return config


def tensors(kind: str, names: Iterable[str], dims: str = "-1", dtype: str = "FP32") -> str:
    """The text of inputs or outputs."""
    return "".join(f'{kind} {{ name: "{name}" data_type: TYPE_{dtype} dims: [ {dims} ] }} ' for name in names)


def step(model: str, inputs: dict[str, str], outputs: dict[str, str]) -> str:
    """The text of one step; an empty model is left out."""
    maps = [("input_map", inputs), ("output_map", outputs)]
    entries = " ".join(f'{kind} {{ key: "{k}" value: "{v}" }}' for kind, each in maps for k, v in each.items())
    return "step { " + (f'model_name: "{model}" ' if model else "") + f"model_version: -1 {entries} }} "


def ensemble(
    steps: Sequence[Wiring], *, inputs: Sequence[str] = ("I",), outputs: Sequence[str] = ("O",), batch: int = 4
) -> str:
    """The text of an ensemble `m`."""
    return (
        f'name: "m" platform: "ensemble" max_batch_size: {batch} {tensors("input", inputs)}{tensors("output", outputs)}'
        f"ensemble_scheduling {{ {''.join(step(*each) for each in steps)}}}"
    )


def model(
    name: str,
    *,
    inputs: Sequence[str] = ("IN",),
    outputs: Sequence[str] = ("OUT",),
    dims: str = "-1",
    dtype: str = "FP32",
    batch: int = 4,
    extra: str = "",
) -> ModelConfig:
    """The config of a step's model."""
    return parse(
        f'name: "{name}" max_batch_size: {batch} {tensors("input", inputs, dims, dtype)}'
        f"{tensors('output', outputs, dims, dtype)}{extra}"
    )


class Models:
    """A ModelCaller over executors, and over functions that stand for models.

    `calls` are the requests so far; a name in `gates` holds its model until the event is set, `running` counts.
    """

    def __init__(self) -> None:
        self.configs: dict[str, ModelConfig] = {}
        self.executors: dict[str, Executor] = {}
        self.answers: dict[str, Callable[[InferenceRequest], Sequence[list[Tensor]]]] = {}
        self.calls: list[InferenceRequest] = []
        self.gates: dict[str, asyncio.Event] = {}
        self.entered: dict[str, asyncio.Event] = {}
        self.cancelled: list[str] = []

    def add(self, config: ModelConfig, runs: Executor | Callable[[InferenceRequest], Sequence[list[Tensor]]]) -> None:
        """Offer a model; a function returns the outputs of each of its responses."""
        self.configs[config.name] = config
        self.entered[config.name] = asyncio.Event()
        if callable(runs):
            self.answers[config.name] = runs
        else:
            self.executors[config.name] = runs

    def config(self, model: str, version: str = "") -> ModelConfig:
        """See ModelCaller."""
        if model not in self.configs:
            raise ServeError(StatusCode.NOT_FOUND, f"Request for unknown model: '{model}' is not found")
        return self.configs[model]

    @contextmanager
    def hold(self, models: Iterable[tuple[str, str]]) -> Iterator["Models"]:
        """See ModelCaller."""
        for model, version in models:
            self.config(model, version)
        yield self

    async def infer(self, request: InferenceRequest) -> InferenceResponse:
        """See ModelCaller."""
        async for response in self.stream(request):
            return response
        raise AssertionError("a model without a response")

    async def stream(self, request: InferenceRequest) -> AsyncIterator[InferenceResponse]:
        """See ModelCaller."""
        self.calls.append(request)
        self.entered[request.model].set()
        try:
            if request.model in self.gates:
                await self.gates[request.model].wait()
        except asyncio.CancelledError:
            self.cancelled.append(request.model)
            raise
        if request.model in self.answers:
            for outputs in self.answers[request.model](request):
                yield InferenceResponse(model=request.model, version="1", outputs=outputs, is_final=False)
            return
        inputs = [
            Tensor(tensor.name, tensor.dtype, tensor.shape, tensor.data)
            for tensor in request.inputs
            if tensor.dtype is not None
        ]
        result = await self.executors[request.model].execute(
            ExecuteRequest(inputs=inputs, rows=inputs[0].shape[0], parameters=request.parameters)
        )
        yield InferenceResponse(model=request.model, version="1", outputs=result.outputs, timing=result.timing)
