"""Python models from their source text, loaded as the server loads them."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from textwrap import dedent, indent

import numpy as np
from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.config.complete import complete_model_config
from npuserve.config.model_config import parse_model_config
from npuserve.core.dtype import Dtype
from npuserve.core.errors import ExecutionError, ServeError
from npuserve.core.execution import ExecuteRequest, ExecuteResult
from npuserve.core.request import InferenceRequest, InferenceResponse, ParameterValue
from npuserve.core.status import StatusCode
from npuserve.core.tensor import Tensor
from npuserve.execution.python_model.backend import PythonBackend
from npuserve.execution.scheduling import StreamingExecutor

CONFIG = """
name: "m" backend: "python" max_batch_size: 8
input [{ name: "I" data_type: TYPE_FP32 dims: [-1] }]
output [{ name: "O" data_type: TYPE_FP32 dims: [-1] }]
"""
HEADER = """
import json, os, sys, threading, time
import numpy as np
import triton_python_backend_utils as pb_utils
"""
ECHO = """
return [
    pb_utils.InferenceResponse([pb_utils.Tensor("O", pb_utils.get_input_tensor_by_name(r, "I").as_numpy())])
    for r in requests
]
"""


def model_source(execute: str, *, initialize: str = "pass", more: str = "") -> str:
    """Return a `model.py` with these bodies; `more` are further members."""
    return (
        f"{HEADER}\nclass TritonPythonModel:\n"
        f"    def initialize(self, args):\n{indent(dedent(initialize), ' ' * 8)}\n"
        f"    def execute(self, requests):\n{indent(dedent(execute), ' ' * 8)}\n"
        f"{indent(dedent(more), ' ' * 4)}\n"
    )


def write_model(folder: Path, source: str, config: str = CONFIG) -> Path:
    """Write a model as a repository has it; return the path of its `model.py`."""
    version = folder / "m" / "1"
    version.mkdir(parents=True, exist_ok=True)
    (folder / "m" / "config.pbtxt").write_text(config)
    (version / "model.py").write_text(source)
    return version / "model.py"


class OtherModels:
    """A ModelCaller for tests.

    `double` doubles its input, `count` answers as often as its input says, `failing` fails.
    """

    def __init__(self) -> None:
        self.requests: list[InferenceRequest] = []

    def config(self, model: str, version: str = "") -> ModelConfig:
        if model not in ("double", "count", "failing"):
            raise _unknown(model)
        return ModelConfig(name=model)

    @contextmanager
    def hold(self, models: Iterable[tuple[str, str]]) -> Iterator["OtherModels"]:
        for model, version in models:
            self.config(model, version)
        yield self

    async def infer(self, request: InferenceRequest) -> InferenceResponse:
        self.requests.append(request)
        if request.model == "failing":
            raise ExecutionError(StatusCode.UNAVAILABLE, "the model itself says no")
        if request.model != "double":
            raise ServeError(StatusCode.UNIMPLEMENTED, f"'{request.model}' is not asked so")
        given = request.inputs[0]
        doubled = np.frombuffer(given.data, np.float32) * 2
        output = Tensor("O", Dtype.FP32, given.shape, doubled.tobytes())
        return InferenceResponse(model="double", version="1", outputs=[output], parameters={"times": 2})

    async def stream(self, request: InferenceRequest) -> AsyncIterator[InferenceResponse]:
        self.requests.append(request)
        for number in range(int(np.frombuffer(request.inputs[0].data, np.float32)[0])):
            output = Tensor("O", Dtype.FP32, (1,), np.array([number], np.float32).tobytes())
            yield InferenceResponse(model="count", version="1", outputs=[output], is_final=False)
        yield InferenceResponse(model="count", version="")


def _unknown(model: str) -> ServeError:
    return ServeError(StatusCode.NOT_FOUND, f"Request for unknown model: '{model}' is not found")


async def load(
    backend: PythonBackend, path: Path, *, auto_complete: bool = False
) -> tuple[StreamingExecutor, ModelConfig]:
    """Load a model as the repository does."""
    config = parse_model_config((path.parent.parent / "config.pbtxt").read_text(), path)
    if auto_complete:
        config = await backend.complete(path, config)
    signature = await backend.describe(path, config)
    config = complete_model_config(config, signature, device_count=0)
    return await backend.load(path, config, signature), config


@asynccontextmanager
async def loaded(
    folder: Path, source: str, config: str = CONFIG, caller: OtherModels | None = None
) -> AsyncIterator[StreamingExecutor]:
    """Load a model, and close it in the end."""
    backend = PythonBackend(caller or OtherModels())
    executor, _ = await load(backend, write_model(folder, source, config))
    try:
        yield executor
    finally:
        await asyncio.wait_for(executor.close(), 60)


def request(
    values: Sequence[object] | np.ndarray = (1.0, 2.0),
    *,
    dtype: Dtype = Dtype.FP32,
    name: str = "",
    outputs: tuple[str, ...] = (),
    parameters: Mapping[str, ParameterValue] | None = None,
) -> ExecuteRequest:
    """Return a request of one row."""
    array = np.asarray(values, dtype.numpy).reshape(1, -1)
    tensor = Tensor("I", dtype, array.shape, array.tobytes())
    return ExecuteRequest(inputs=[tensor], id=name, outputs=outputs, parameters=dict(parameters or {}))


def values_of(result: ExecuteResult, name: str = "O") -> list[float]:
    """Return the elements of an output."""
    output = next(each for each in result.outputs if each.name == name)
    elements: list[float] = np.frombuffer(output.data, output.dtype.numpy).tolist()
    return elements
