"""Model repositories of configs alone, for a backend in memory that also runs ensembles."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.config.control_options import ControlOptions
from npuserve.core.dtype import Dtype
from npuserve.core.errors import invalid
from npuserve.core.execution import ExecuteRequest, ExecuteResult
from npuserve.core.signature import ModelSignature, TensorSpec
from npuserve.execution.executor import Executor
from npuserve.repository.loading import ModelLoader
from npuserve.repository.registry import ModelRegistry
from support.identity_backend import IdentityBackend, IdentityExecutor

COPY = """
backend: "copy" max_batch_size: 4
input [ { name: "x" data_type: TYPE_FP32 dims: [ 4 ] } ]
output [ { name: "y" data_type: TYPE_FP32 dims: [ 4 ] } ]
"""


class CopyBackend(IdentityBackend):
    """Loads models that are a config and an empty version folder; a file `broken` in it fails the load.

    `failures_left`: so many loads fail whatever they find.
    """

    def __init__(self) -> None:
        super().__init__(device_count=0)
        self.failures_left = 0

    @property
    def needs_model_file(self) -> bool:
        return False

    async def describe(self, path: Path, config: ModelConfig) -> ModelSignature:
        if (path / "broken").exists():
            raise invalid(f"broken version of '{config.name}'")
        if self.failures_left:
            self.failures_left -= 1
            raise invalid("not yet")
        shape = (-1, 4)
        return ModelSignature((TensorSpec("x", Dtype.FP32, shape),), (TensorSpec("y", Dtype.FP32, shape),), ())

    async def load(self, path: Path, config: ModelConfig, signature: ModelSignature) -> Executor:
        await super().load(path, config, signature)
        executor = self.executors[-1] = RecordingExecutor(signature, config)
        return executor


class RecordingExecutor(IdentityExecutor):
    """Keeps the requests that it has run; fails those of `refused_rows` rows."""

    refused_rows = 3

    def __init__(self, signature: ModelSignature, config: ModelConfig) -> None:
        super().__init__(signature, config)
        self.seen: list[ExecuteRequest] = []

    async def execute(self, request: ExecuteRequest) -> ExecuteResult:
        self.seen.append(request)
        if request.rows == self.refused_rows:
            raise invalid("three rows are too many")
        return await super().execute(request)


async def until(registry: ModelRegistry, condition: Callable[[], bool]) -> None:
    """Wait until a change of a model's state brings the condition about."""
    changed = asyncio.Event()
    end_watch = registry.watch(changed.set)
    async with asyncio.timeout(10):
        while not condition():
            changed.clear()
            await changed.wait()
    end_watch()


def make_registry(mode: str, *load_models: str, backend: CopyBackend | None = None, retries: int = 0) -> ModelRegistry:
    """A registry whose ensembles run, as all its models do, with the copy backend."""
    backend = backend or CopyBackend()
    control = ControlOptions(mode=mode, load_models=load_models, load_retry_count=retries, poll_secs=3600)
    return ModelRegistry(ModelLoader({"copy": backend, "ensemble": backend}), control=control)


def add_copy_model(repository: Path, name: str, rest: str = "", *, versions: tuple[int, ...] = (1,)) -> Path:
    """Write a model's folder, or write its config anew."""
    folder = repository / name
    for version in versions:
        (folder / str(version)).mkdir(parents=True, exist_ok=True)
    (folder / "config.pbtxt").write_text(COPY + rest)
    return folder


def add_ensemble(repository: Path, name: str, *steps: str, version: int = -1) -> Path:
    """Write the folder of an ensemble of these models, one after the other."""
    folder = repository / name
    (folder / "1").mkdir(parents=True, exist_ok=True)
    tensors = ["x", *(f"t{number}" for number in range(1, len(steps))), "y"]
    text = "\n".join(
        f'step {{ model_name: "{step}" model_version: {version} input_map {{ key: "x" value: "{tensors[at]}" }} '
        f'output_map {{ key: "y" value: "{tensors[at + 1]}" }} }}'
        for at, step in enumerate(steps)
    )
    body = COPY.replace('backend: "copy"', 'platform: "ensemble"')
    (folder / "config.pbtxt").write_text(f"{body}\nensemble_scheduling {{ {text} }}")
    return folder
