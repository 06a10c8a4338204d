"""The routes of a real registry whose models have sinks, or have none."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.core.dtype import Dtype
from npuserve.core.signature import Gear, ModelSignature, TensorSpec
from npuserve.execution.executor import Executor
from npuserve.repository.loading import ModelLoader
from npuserve.repository.registry import ModelRegistry
from npuserve.service.inference import InferenceService
from npuserve.service.interface import DeclaredTensor
from npuserve.service.routes import INFER_PATH, InferRoutes
from npuserve.service.table import TableOptions, method_table
from support.identity_backend import IdentityBackend, IdentityExecutor, write_model

SHAPE = (-1, 4)
SIGNATURE = ModelSignature(
    inputs=tuple(TensorSpec(name, Dtype.FP32, SHAPE) for name in ("a", "b", "c")),
    outputs=tuple(TensorSpec(name, Dtype.FP32, SHAPE) for name in ("x", "y", "z")),
    gears=(Gear(((8, 4),) * 3, ((8, 4),) * 3),),
)
CONFIG = """
backend: "ascend"
max_batch_size: 8
version_policy { all { } }
input [
  { name: "c" data_type: TYPE_FP32 dims: [ 2, 2 ] reshape { shape: [ 4 ] } },
  { name: "a" data_type: TYPE_FP32 dims: [ 4 ] },
  { name: "b" data_type: TYPE_FP32 dims: [ 4 ] }
]
output [
  { name: "z" data_type: TYPE_FP32 dims: [ 4 ] },
  { name: "x" data_type: TYPE_FP32 dims: [ 4 ] },
  { name: "y" data_type: TYPE_FP32 dims: [ 4 ] }
]
"""


class SinkExecutor(IdentityExecutor):
    """One that takes requests natively; any object stands for the capsule."""

    def __init__(self, signature: ModelSignature, config: ModelConfig) -> None:
        super().__init__(signature, config)
        self.capsule = object()

    @property
    def sink(self) -> object:  # type: ignore[override]  # its parent has none
        return self.capsule


class ThreeBackend(IdentityBackend):
    """Models of three inputs and outputs, whose executors have a sink if they are told to."""

    def __init__(self, *, sinks: bool) -> None:
        super().__init__()
        self._sinks = sinks

    async def describe(self, path: Path, config: ModelConfig) -> ModelSignature:
        return SIGNATURE

    async def load(self, path: Path, config: ModelConfig, signature: ModelSignature) -> Executor:
        plain = await super().load(path, config, signature)
        return SinkExecutor(signature, config) if self._sinks else plain


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for version in (1, 2, 10):
        write_model(tmp_path / "three" / str(version) / "model.om")
    (tmp_path / "three" / "config.pbtxt").write_text(CONFIG)
    return tmp_path


def make_registry(*, sinks: bool = True) -> ModelRegistry:
    return ModelRegistry(ModelLoader({"ascend": ThreeBackend(sinks=sinks)}))


@pytest.fixture
async def registry() -> AsyncIterator[ModelRegistry]:
    registry = make_registry()
    yield registry
    await registry.close()


async def test_each_version_is_asked_for_by_number_and_the_highest_by_none(
    registry: ModelRegistry, repository: Path
) -> None:
    await registry.load_all([repository])
    routes = InferRoutes(registry).current()
    assert [(route.asked_versions, route.version) for route in routes] == [
        (("1",), "1"),
        (("2",), "2"),
        (("10", ""), "10"),
    ]
    assert {route.interface.name for route in routes} == {"three"}
    assert {route.interface.max_batch_size for route in routes} == {8}


async def test_inputs_are_in_the_configs_order_and_know_their_place_in_the_signature(
    registry: ModelRegistry, repository: Path
) -> None:
    await registry.load_all([repository])
    route = InferRoutes(registry).current()[0]
    assert list(route.interface.inputs) == ["c", "a", "b"]
    assert route.input_positions == (2, 0, 1)
    assert route.interface.inputs["c"] == DeclaredTensor("c", Dtype.FP32, (2, 2), (4,))


async def test_a_route_knows_the_models_own_dtypes(registry: ModelRegistry, repository: Path) -> None:
    await registry.load_all([repository])
    route = InferRoutes(registry).current()[0]
    assert route.input_dtypes == route.output_dtypes == (Dtype.FP32,) * 3


async def test_outputs_are_in_the_signatures_order(registry: ModelRegistry, repository: Path) -> None:
    await registry.load_all([repository])
    route = InferRoutes(registry).current()[0]
    assert [output.name for output in route.outputs] == ["x", "y", "z"]


async def test_an_output_that_the_config_leaves_out_has_no_name(registry: ModelRegistry, repository: Path) -> None:
    kept = '  { name: "x" data_type: TYPE_FP32 dims: [ 4 ] },\n'
    assert kept in CONFIG
    (repository / "three" / "config.pbtxt").write_text(CONFIG.replace(kept, ""))
    await registry.load_all([repository])
    route = InferRoutes(registry).current()[0]
    assert [output.name for output in route.outputs] == ["", "y", "z"]


async def test_the_sink_is_the_versions_own(registry: ModelRegistry, repository: Path) -> None:
    await registry.load_all([repository])
    routes = InferRoutes(registry).current()
    assert [route.sink for route in routes] == [
        registry.lookup("three", version).executor.sink for version in ("1", "2", "10")
    ]
    assert len({id(route.sink) for route in routes}) == 3


async def test_a_model_without_a_sink_has_no_route(repository: Path) -> None:
    registry = make_registry(sinks=False)
    await registry.load_all([repository])
    assert registry.lookup("three").version == 10
    assert InferRoutes(registry).current() == []
    await registry.close()


async def test_a_decoupled_model_has_no_route(registry: ModelRegistry, repository: Path) -> None:
    config = repository / "three" / "config.pbtxt"
    config.write_text(CONFIG + "model_transaction_policy { decoupled: true }")
    await registry.load_all([repository])
    assert registry.lookup("three").version == 10
    assert InferRoutes(registry).current() == []


async def test_a_watcher_sees_every_change(registry: ModelRegistry, repository: Path) -> None:
    routes = InferRoutes(registry)
    seen: list[list[str]] = []
    routes.watch(lambda: seen.append([route.version for route in routes.current()]))
    await registry.load_all([repository])
    assert seen[0] == []
    assert seen[-1] == ["1", "2", "10"]


async def test_the_routes_are_gone_before_the_executors_close(registry: ModelRegistry, repository: Path) -> None:
    await registry.load_all([repository])
    executor = registry.lookup("three").executor
    assert isinstance(executor, SinkExecutor)
    routes = InferRoutes(registry)
    seen: list[tuple[int, int]] = []
    routes.watch(lambda: seen.append((len(routes.current()), executor.close_calls)))
    await registry.close()
    assert (0, 0) in seen
    assert all(calls == 0 for routes, calls in seen if routes)
    assert executor.close_calls == 1


def test_the_path_of_the_routes_is_in_the_method_table() -> None:
    assert INFER_PATH in method_table(
        make_registry(), InferenceService(), TableOptions(server_id="s", server_version="1")
    )
