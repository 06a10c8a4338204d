"""The graph's layers, one layer alone, and the rule that names the first bad one."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from npuserve.migrate.compare.batches import joined
from npuserve.migrate.compare.graph import LayerGraph
from npuserve.migrate.compare.layerwise import layer_errors
from npuserve.migrate.compare.mix_list import mix_list, write_kept
from npuserve.migrate.compare.precision import BFLOAT16, FLOAT16, FLOAT32, target_of
from npuserve.migrate.compare.reference import Reference
from npuserve.migrate.compare.stopwatch import Stopwatch
from npuserve.migrate.errors import MigrationError
from onnx import helper
from support.encoders import tiny_encoder, token_samples
from support.models import FLOAT, Array, graph_input, onnx_model


def reference(model: onnx.ModelProto, sample: dict[str, Array]) -> dict[str, Array]:
    return Reference(model, Stopwatch(), exact=True).run(sample)


def chain(length: int = 4) -> LayerGraph:
    """x -> a_0 -> a_1 ..., each the double of the one before."""
    names = ["x", *(f"a_{number}" for number in range(length))]
    nodes = [helper.make_node("Add", [old, old], [new], name=new) for old, new in pairwise(names)]
    shape = [2, 3]
    return LayerGraph(onnx_model(nodes, [graph_input("x", FLOAT, shape)], [graph_input(names[-1], FLOAT, shape)]))


def test_nodes_without_a_name_are_called_as_the_compiler_calls_them() -> None:
    model = chain().model
    model.graph.node[1].name = ""
    assert [layer.name for layer in LayerGraph(model).layers] == ["a_0", "Add_1", "a_2", "a_3"]


def test_what_does_not_depend_on_values_is_no_layer() -> None:
    model = onnx_model(
        [
            helper.make_node("Shape", ["x"], ["shape"], name="shape"),
            helper.make_node("Cast", ["shape"], ["size"], to=FLOAT, name="size"),
            helper.make_node("ReduceMean", ["size"], ["mean"], name="mean", keepdims=0),
            helper.make_node("Div", ["x", "mean"], ["y"], name="div"),
        ],
        [graph_input("x", FLOAT, [2, 3])],
        [graph_input("y", FLOAT, [2, 3])],
    )
    (layer,) = LayerGraph(model).layers
    assert (layer.name, layer.sources) == ("div", ("x",))


def test_a_layer_alone_computes_what_it_does_in_the_model() -> None:
    graph = LayerGraph(tiny_encoder())
    sample = token_samples(np.random.default_rng(0), (6,))[0]
    tensors = [tensor for layer in graph.layers for tensor in layer.outputs]
    in_model = reference(graph.with_outputs(tensors), sample)
    values = {**sample, **dict(zip(tensors, in_model.values(), strict=True))}
    for layer in graph.layers:
        alone, inputs = graph.alone(layer, values)
        (result,) = reference(alone, inputs).values()
        np.testing.assert_allclose(result, values[layer.outputs[0]], rtol=1e-6, atol=1e-6)
        assert alone.graph.node[0].name == layer.name


def test_the_error_jumps_where_it_is_made_and_not_where_it_is_passed_on() -> None:
    graph = chain()
    x = np.ones((2, 3), np.float32)
    right = {"x": x, **{f"a_{number}": 2.0 ** (number + 1) * x for number in range(4)}}
    wrong = np.array([1.1, 1, 1], np.float32)
    actual = {name: value * (wrong if name in ("a_1", "a_2", "a_3") else 1) for name, value in right.items()}
    errors = layer_errors(graph, right, actual, FLOAT32)
    assert [each.layer.name for each in errors if each.jumps(FLOAT32)] == ["a_1"]
    assert [each.read for each in errors][:2] == [0, 0]
    assert errors[2].read == errors[1].difference.relative


def test_a_layer_that_was_not_compared_passes_on_the_error_of_its_inputs() -> None:
    graph = chain()
    x = np.ones((2, 3), np.float32)
    right = {"x": x, **{f"a_{number}": 2.0 ** (number + 1) * x for number in range(4)}}
    actual = {name: right[name] * np.float32(1.1) for name in ("a_0", "a_2")}
    first, last = layer_errors(graph, right, actual, FLOAT32)
    assert first.jumps(FLOAT32)
    assert last.read == first.difference.relative
    assert not last.jumps(FLOAT32)


def test_noise_of_the_target_type_is_no_jump() -> None:
    graph = chain(1)
    x = np.ones((2, 3), np.float32)
    (error,) = layer_errors(graph, {"x": x, "a_0": 2 * x}, {"a_0": 2 * x * np.float32(1.002)}, FLOAT16)
    assert error.jumps(FLOAT32)
    assert not error.jumps(FLOAT16)


def test_precision_modes_have_their_types() -> None:
    assert target_of("must_keep_origin_dtype") == FLOAT32
    assert target_of("force_fp16") == FLOAT16
    assert target_of("mixed_bfloat16") == BFLOAT16


def test_samples_become_a_batch_padded_with_zeros() -> None:
    samples = token_samples(np.random.default_rng(1), (3, 5, 2, 9))
    batch = joined(samples, 3, 1000)
    assert batch["input_ids"].shape == batch["attention_mask"].shape == (3, 5)
    np.testing.assert_array_equal(batch["attention_mask"].sum(axis=1), [3, 5, 2])
    np.testing.assert_array_equal(batch["input_ids"][2, :2], samples[2]["input_ids"][0])


def test_a_batch_has_no_more_elements_than_are_allowed() -> None:
    samples = token_samples(np.random.default_rng(1), (3, 5, 2, 9))
    assert joined(samples, 8, 15)["input_ids"].shape == (3, 5)
    assert joined(samples, 8, 2)["input_ids"].shape == (1, 3)


def test_samples_that_cannot_be_joined_are_left_out() -> None:
    samples = [{"x": np.ones((1, 2)), "scale": np.array(2.0)}] * 2
    assert joined(samples, 8, 1000)["x"].shape == (1, 2)


def test_lists_are_written_as_the_compiler_reads_them(tmp_path: Path) -> None:
    assert mix_list(["Softmax", "Div", "Div"]) == {"black-list": {"to-add": ["RealDiv", "SoftmaxV2"]}}
    assert mix_list(["MatMul"])["black-list"]["to-add"] == ["BatchMatMulV2", "MatMulV2"]
    assert json.loads(json.dumps(mix_list([])))["black-list"]["to-add"] == []
    assert write_kept(tmp_path / "keep.txt", ["a", "b"]).read_text() == "a\nb\n"


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(MigrationError, match="cannot be read as an ONNX model"):
        LayerGraph.load(path)
