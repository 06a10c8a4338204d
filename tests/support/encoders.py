"""A model with what BERT's layers are made of, small enough to be compiled within a blink."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper
from support.models import FLOAT, INT64, Array, graph_input, onnx_model

WORDS, WIDTH, LABELS = 40, 16, 3

node = helper.make_node


def tiny_encoder(blocks: int = 2, seed: int = 1) -> onnx.ModelProto:
    """input_ids, attention_mask [batch, length] -> logits [batch, 3]: attention, feed-forward, the mean of positions.

    Nodes are named `block_0/scores` and so on; the last ones `pooled`, `logits`.
    """
    random = np.random.default_rng(seed)
    weights: dict[str, Array] = {
        "words": random.standard_normal((WORDS, WIDTH)).astype(np.float32),
        "one": np.array(1, np.float32),
        "far": np.array(-10000, np.float32),
        "axis_1": np.array([1], np.int64),
        "axis_last": np.array([2], np.int64),
        "head": (random.standard_normal((WIDTH, LABELS)) * 0.3).astype(np.float32),
        "head_bias": random.standard_normal(LABELS).astype(np.float32),
    }
    nodes = [
        node("Gather", ["words", "input_ids"], ["hidden_0"], name="embedding"),
        node("Cast", ["attention_mask"], ["mask"], to=FLOAT, name="mask"),
        node("Sub", ["one", "mask"], ["masked"], name="masked"),
        node("Mul", ["masked", "far"], ["mask_bias_2"], name="mask_bias"),
        node("Unsqueeze", ["mask_bias_2", "axis_1"], ["mask_bias"], name="mask_bias_3"),
    ]
    for block in range(blocks):
        nodes += _block(block, random, weights)
    nodes += [
        node("Unsqueeze", ["mask", "axis_last"], ["mask_3"], name="mask_3"),
        node("Mul", [f"hidden_{blocks}", "mask_3"], ["counted"], name="counted"),
        node("ReduceSum", ["counted", "axis_1"], ["sum"], keepdims=0, name="sum"),
        node("ReduceSum", ["mask_3", "axis_1"], ["positions"], keepdims=0, name="positions"),
        node("Div", ["sum", "positions"], ["pooled"], name="pooled"),
        node("MatMul", ["pooled", "head"], ["scores"], name="head"),
        node("Add", ["scores", "head_bias"], ["logits"], name="logits"),
    ]
    return onnx_model(
        nodes,
        [graph_input(name, INT64, ["batch", "length"]) for name in ("input_ids", "attention_mask")],
        [graph_input("logits", FLOAT, ["batch", LABELS])],
        weights,
    )


def _block(block: int, random: np.random.Generator, weights: dict[str, Array]) -> list[onnx.NodeProto]:
    source, prefix = f"hidden_{block}", f"block_{block}/"
    for name in ("query", "key", "value", "wide", "narrow"):
        weights[prefix + name] = (random.standard_normal((WIDTH, WIDTH)) * 0.25).astype(np.float32)
    weights[prefix + "scale"] = np.ones(WIDTH, np.float32)
    weights[prefix + "shift"] = np.zeros(WIDTH, np.float32)

    def step(kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> onnx.NodeProto:
        return node(kind, list(inputs), [f"{prefix}{output}_out"], name=prefix + output, **attributes)

    def out(name: str) -> str:
        return f"{prefix}{name}_out"

    return [
        step("MatMul", [source, prefix + "query"], "queries"),
        step("MatMul", [source, prefix + "key"], "keys"),
        step("MatMul", [source, prefix + "value"], "values"),
        step("Transpose", [out("keys")], "turned", perm=[0, 2, 1]),
        step("MatMul", [out("queries"), out("turned")], "scores"),
        step("Add", [out("scores"), "mask_bias"], "biased"),
        step("Softmax", [out("biased")], "shares", axis=-1),
        step("MatMul", [out("shares"), out("values")], "mixed"),
        step("Add", [out("mixed"), source], "residual"),
        step("MatMul", [out("residual"), prefix + "wide"], "widened"),
        step("Tanh", [out("widened")], "activated"),
        step("MatMul", [out("activated"), prefix + "narrow"], "narrowed"),
        step("Add", [out("narrowed"), out("residual")], "added"),
        node(
            "LayerNormalization",
            [out("added"), prefix + "scale", prefix + "shift"],
            [f"hidden_{block + 1}"],
            name=prefix + "norm",
        ),
    ]


def token_samples(random: np.random.Generator, lengths: Sequence[int]) -> list[dict[str, Array]]:
    """One row a sample, of these lengths."""
    return [
        {
            "input_ids": random.integers(0, WORDS, (1, length)),
            "attention_mask": np.ones((1, length), np.int64),
        }
        for length in lengths
    ]
