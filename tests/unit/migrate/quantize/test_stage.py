"""The stage with precision int8, from the export to an OM that computes in it."""

import json
from collections import Counter
from typing import Any

import numpy as np
import onnx
import pytest
from npuserve.migrate.chain.tensors import save_samples
from npuserve.migrate.errors import MigrationError
from onnx import numpy_helper
from support.encoders import LABELS, tiny_encoder, token_samples
from support.models import tokens

from .conftest import Quantizing

LAYERS = [f"block_{b}/{name}" for b in (0, 1) for name in ("queries", "keys", "values", "widened", "narrowed")] + [
    "head"
]


def test_the_om_is_of_the_quantized_graph_and_stands_beside_the_float_ones(quantizing: Quantizing) -> None:
    result = quantizing.run(max_accuracy_drop=40)
    assert result.passed, (result.checks, result.notes)
    assert "--model=" + str(quantizing.folder / "quantized.onnx") in result.commands[0]
    rows = {row["precision"]: row for row in result.figures["precisions"]}
    assert list(rows) == ["fp32", "fp16", "int8"]
    assert rows["fp32"]["cosine"] == pytest.approx(1, abs=1e-6)
    assert 0.9 < rows["int8"]["cosine"] < rows["fp16"]["cosine"] < 1
    assert all(row["p50_ms"] > 0 and row["size_bytes"] > 0 for row in rows.values())
    assert rows["int8"]["size_bytes"] == (quantizing.folder / "model.om").stat().st_size
    assert json.loads((quantizing.folder / "precisions.json").read_text()) == list(rows.values())
    assert set(result.artifacts) <= quantizing.kept()
    assert result.foreign_seconds < result.seconds


def test_weights_are_int8_by_channel_and_only_layers_read_rounded_values(quantizing: Quantizing) -> None:
    quantizing.run(max_accuracy_drop=40)
    graph = onnx.load(str(quantizing.folder / "quantized.onnx")).graph
    weights = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    makers = {output: node for node in graph.node for output in node.output}
    layers = {node.name: node for node in graph.node if node.name in LAYERS}
    assert len(layers) == len(LAYERS)
    for node in layers.values():
        activation, weight = (makers[name] for name in node.input)
        pair = makers[activation.input[0]]
        assert weights[pair.input[2]].dtype == np.int8
        assert weights[pair.input[2]] == 0
        assert weights[weight.input[0]].dtype == np.int8
        assert weights[weight.input[1]].shape == (weights[weight.input[0]].shape[1],)
    # The sum around the layers and the attention's products stay what they were.
    readers = {node.name for node in graph.node for name in node.input if makers.get(name) in _rounded(graph)}
    assert readers == set(LAYERS)
    assert Counter(node.op_type for node in graph.node)["QuantizeLinear"] < len(LAYERS)


def _rounded(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    return [node for node in graph.node if node.op_type == "DequantizeLinear"]


def test_layers_that_the_settings_keep_stay_as_they_were(quantizing: Quantizing) -> None:
    quantizing.run(max_accuracy_drop=40, keep_nodes=("head", "block_0/keys"))
    kept = onnx.load(str(quantizing.folder / "quantized.onnx")).graph
    before = {node.name: node for node in tiny_encoder().graph.node}
    after = {node.name: node for node in kept.node}
    assert after["head"] == before["head"]
    assert after["block_0/keys"] == before["block_0/keys"]
    assert after["block_0/values"] != before["block_0/values"]


def sensitive_encoder() -> onnx.ModelProto:
    """The tiny encoder, whose head reads one column that is far larger than what tells the classes apart."""
    model = tiny_encoder()
    weights = {each.name: each for each in model.graph.initializer}
    for name, column in (("block_1/scale", 400.0), ("head", 0.0)):
        values = numpy_helper.to_array(weights[name]).copy()
        values[0] = column
        weights[name].CopyFrom(numpy_helper.from_array(values, name))
    weights["head_bias"].CopyFrom(numpy_helper.from_array(np.zeros(LABELS, np.float32), "head_bias"))
    return model


def test_the_layer_that_int8_hurts_stays_in_float(quantizing: Quantizing) -> None:
    quantizing.export(sensitive_encoder())
    result = quantizing.run(max_accuracy_drop=0)
    found = json.loads((quantizing.folder / "sensitive_layers.json").read_text())
    assert found["ranking"][0]["name"] == "head"
    assert found["kept"] == ["head"]
    assert result.passed, (result.checks, result.notes)
    assert any("1 layers stay in float" in note and "head" in note for note in result.notes)
    tried = found["candidates"]
    assert tried[0]["kept"] == []
    assert not tried[0]["holds"]
    assert tried[0]["drop_points"] > 0
    assert all(each["p50_ms"] > 0 for each in tried)
    final = {node.name: node for node in onnx.load(str(quantizing.folder / "quantized.onnx")).graph.node}
    assert list(final["head"].input) == ["pooled", "head"]


def test_without_the_search_the_drop_fails_the_gate_with_advice(quantizing: Quantizing) -> None:
    quantizing.export(sensitive_encoder())
    result = quantizing.run(max_accuracy_drop=0, bisect=False)
    assert not result.passed
    assert result.advice[0] == "let layers stay in float: quantize.bisect = true"
    assert result.figures["kept_layers"] == 0


@pytest.mark.parametrize("calibration", ["minmax", "percentile", "entropy"])
def test_every_calibration_takes_rows_of_different_lengths(calibration: str, quantizing: Quantizing) -> None:
    quantizing.run(max_accuracy_drop=100, calibration=calibration, percentile=99.0)
    assert (quantizing.folder / "quantized.onnx").is_file()


def broken(**values: Any) -> onnx.ModelProto:
    model = tiny_encoder()
    for weight in model.graph.initializer:
        if weight.name in values:
            array = numpy_helper.to_array(weight).copy()
            array.flat[:] = values[weight.name]
            weight.CopyFrom(numpy_helper.from_array(array, weight.name))
    return model


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (tokens(), "the graph has no MatMul or Gemm with constant weights"),
        (broken(head_bias=np.nan), "output 'logits' of float32 for row 0 of the calibration sample has NaN"),
        (broken(far=np.inf), "has NaN: no range can be made of it"),
    ],
)
def test_graphs_that_cannot_be_quantized_are_told(model: onnx.ModelProto, told: str, quantizing: Quantizing) -> None:
    onnx.save(model, str(quantizing.exported / "model.onnx"))
    if model.graph.input[0].name != "input_ids":
        save_samples(quantizing.exported / "calibration.npz", [{"ids": np.ones((1, 4), np.int64)}])
    with pytest.raises(MigrationError, match=told) as caught:
        quantizing.run()
    assert caught.value.advice
    assert quantizing.kept() == set()


def test_a_calibration_sample_that_is_not_there_or_empty_is_told(quantizing: Quantizing) -> None:
    sample = quantizing.exported / "calibration.npz"
    save_samples(sample, [])
    with pytest.raises(MigrationError, match="the calibration sample for int8 has no rows"):
        quantizing.run()
    quantizing.folder.rmdir()
    sample.write_bytes(b"no archive")
    with pytest.raises(MigrationError, match="there is no calibration sample for int8"):
        quantizing.run()
    quantizing.folder.rmdir()
    sample.unlink()
    with pytest.raises(MigrationError, match="there is no calibration sample for int8"):
        quantizing.run()
    assert quantizing.kept() == set()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"keep_nodes": ("haed",)}, "quantize.keep_nodes names haed, which is not quantized anyway"),
        ({"keep_types": ("Conv",)}, "quantize.keep_types names Conv"),
        ({"keep_types": ("MatMul",)}, "leave none of the graph's 11 layers to quantize"),
        ({"tool": "amct"}, "only CANN's atc compiles"),
    ],
)
def test_settings_that_do_not_fit_the_graph_are_told(
    settings: dict[str, Any], told: str, quantizing: Quantizing
) -> None:
    with pytest.raises(MigrationError, match=told):
        quantizing.run(**settings)
    assert quantizing.kept() == set()


def test_a_set_without_a_tokenizer_is_not_asked(quantizing: Quantizing) -> None:
    (quantizing.exported / "dataset.jsonl").write_text('{"text": "a", "label": 0}\n')
    save_samples(quantizing.exported / "baseline.npz", token_samples(np.random.default_rng(1), (5, 5, 6)))
    result = quantizing.run(max_accuracy_drop=40)
    assert any("judged by 3 samples of the export" in note for note in result.notes)
