from pathlib import Path

import onnx
import pytest
from npuserve.migrate.compile.outline import GraphTensor, outline_of, read_outline
from npuserve.migrate.errors import MigrationError
from onnx import TensorProto, helper
from support.models import FLOAT, graph_input, onnx_model, tokens


def test_operators_are_counted_with_their_opset() -> None:
    outline = outline_of(tokens())
    assert outline.opsets == {"": 17}
    assert outline.operators["", "Unsqueeze"] == 3
    assert outline.operators["", "Concat"] == 1
    assert sum(outline.operators.values()) == 10


def test_inputs_and_outputs_keep_their_order_and_dynamic_axes() -> None:
    outline = outline_of(tokens())
    assert outline.inputs == (
        GraphTensor("input_ids", "INT64", ("batch", "length")),
        GraphTensor("attention_mask", "INT64", ("batch", "length")),
    )
    assert outline.outputs == (GraphTensor("logits", "FP32", ("batch", "length", 3)),)


def test_a_weight_that_is_listed_as_an_input_is_none() -> None:
    model = tokens()
    model.graph.input.append(helper.make_tensor_value_info("last", TensorProto.INT64, [1]))
    assert [tensor.name for tensor in outline_of(model).inputs] == ["input_ids", "attention_mask"]


def test_operators_of_branches_are_counted() -> None:
    def branch(operator: str) -> onnx.GraphProto:
        return helper.make_graph(
            [helper.make_node(operator, ["x"], ["out"])], operator, [], [graph_input("out", FLOAT, [2])]
        )

    node = helper.make_node("If", ["condition"], ["y"], then_branch=branch("Abs"), else_branch=branch("Neg"))
    model = onnx_model(
        [node],
        [graph_input("condition", TensorProto.BOOL, []), graph_input("x", FLOAT, [2])],
        [graph_input("y", FLOAT, [2])],
    )
    assert outline_of(model).operators == {("", "If"): 1, ("", "Abs"): 1, ("", "Neg"): 1}


def test_a_function_of_the_file_counts_as_what_it_is_made_of() -> None:
    body = [helper.make_node("Mul", ["a", "a"], ["b"]), helper.make_node("Neg", ["b"], ["c"])]
    function = helper.make_function("own", "Square", ["a"], ["c"], body, [helper.make_opsetid("", 17)])
    graph = helper.make_graph(
        [helper.make_node("Square", ["x"], ["y"], domain="own")],
        "graph",
        [graph_input("x", FLOAT, [2])],
        [graph_input("y", FLOAT, [2])],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    outline = outline_of(helper.make_model(graph, functions=[function], opset_imports=opsets))
    assert outline.operators == {("", "Mul"): 1, ("", "Neg"): 1}
    assert outline.functions == {("own", "Square")}


@pytest.mark.parametrize("content", [b"", b"no model at all", b"\x08\x08"])
def test_a_file_that_is_no_onnx_is_told_so(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(MigrationError, match="is not an ONNX file"):
        read_outline(path)


def test_a_missing_file_is_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match=r"cannot read .*model\.onnx: No such file"):
        read_outline(tmp_path / "model.onnx")
