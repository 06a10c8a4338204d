import warnings
from pathlib import Path
from typing import Any

import pytest
from npuserve.config.model_config import parse_model_config
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.serve.graph_interface import graph_interface
from npuserve.migrate.triton.torchscript import trace_to_onnx
from npuserve.migrate.triton.torchscript_child import order_of

CONFIG = """
max_batch_size: 8
input [
  { name: "INPUT__0" data_type: TYPE_INT64 dims: [ -1 ] }, { name: "INPUT__1" data_type: TYPE_INT64 dims: [ -1 ] }
]
output { name: "OUTPUT__0" data_type: TYPE_FP32 dims: [ 3 ] }
"""


@pytest.mark.parametrize(
    ("names", "arguments", "order"),
    [
        (["INPUT__1", "INPUT__0"], ["ids", "mask"], ["INPUT__0", "INPUT__1"]),
        (["x__10", "y__2"], [], ["y__2", "x__10"]),
        (["mask", "ids"], ["ids", "mask"], ["ids", "mask"]),
        (["b", "a"], ["ids", "mask"], ["b", "a"]),
    ],
)
def test_inputs_are_ordered_as_triton_does(names: list[str], arguments: list[str], order: list[str]) -> None:
    assert order_of(names, arguments) == order


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    class Sums(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = torch.nn.Embedding(100, 3)

        def forward(self, ids: Any, mask: Any) -> Any:
            return (self.table(ids) * mask.unsqueeze(-1)).sum(1)

    ids = torch.ones(2, 5, dtype=torch.int64)
    with warnings.catch_warnings():
        # That it is old is why there are such files to migrate.
        warnings.simplefilter("ignore")
        trace: Any = torch.jit.trace
        compiled = trace(Sums().eval(), (ids, ids))
    path = tmp_path_factory.mktemp("script") / "model.pt"
    compiled.save(str(path))
    return path


def test_a_script_becomes_a_graph_with_the_names_of_the_config(script: Path, tmp_path: Path) -> None:
    graph = graph_interface(trace_to_onnx(script, parse_model_config(CONFIG, Path("c")), 18, tmp_path / "work"))
    assert [(spec.name, spec.shape) for spec in graph.inputs] == [("INPUT__0", (-1, -1)), ("INPUT__1", (-1, -1))]
    assert [(spec.name, spec.shape) for spec in graph.outputs] == [("OUTPUT__0", (-1, 3))]


def test_a_script_that_answers_otherwise_than_the_config_says_is_told(script: Path, tmp_path: Path) -> None:
    more = parse_model_config(CONFIG + 'output { name: "OUTPUT__1" data_type: TYPE_FP32 dims: [ 3 ] }', Path("c"))
    with pytest.raises(MigrationError, match="it does not trace to ONNX"):
        trace_to_onnx(script, more, 18, tmp_path / "work")


def test_a_config_without_tensors_cannot_be_traced(script: Path, tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match="the config must list input and output"):
        trace_to_onnx(script, parse_model_config("max_batch_size: 8", Path("c")), 18, tmp_path / "work")
