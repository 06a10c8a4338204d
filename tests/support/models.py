"""Small ONNX models and the OMs that tests run; `python -m support.models FOLDER` with PYTHONPATH=tests builds all."""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from support.emulator import ATC, run_atc

OPSET = 17
IR_VERSION = 8
FLOAT = TensorProto.FLOAT
INT64 = TensorProto.INT64

Array = npt.NDArray[Any]
Dims = Sequence[int | str]


def graph_input(name: str, dtype: int, dims: Dims) -> onnx.ValueInfoProto:
    """A graph input or output; names of axes are dynamic ones."""
    return helper.make_tensor_value_info(name, dtype, list(dims))


def onnx_model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    weights: dict[str, Array] | None = None,
) -> onnx.ModelProto:
    """A checked model of opset 17."""
    initializers = [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()]
    graph = helper.make_graph(list(nodes), "graph", list(inputs), list(outputs), initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    return model


def identity() -> onnx.ModelProto:
    """y = x, [batch, 4]."""
    return onnx_model(
        [helper.make_node("Identity", ["x"], ["y"], name="identity")],
        [graph_input("x", FLOAT, ["batch", 4])],
        [graph_input("y", FLOAT, ["batch", 4])],
    )


def add_mul() -> onnx.ModelProto:
    """total = a + b, product = a * b, all [batch, 4]."""
    return onnx_model(
        [
            helper.make_node("Add", ["a", "b"], ["total"], name="add"),
            helper.make_node("Mul", ["a", "b"], ["product"], name="mul"),
        ],
        [graph_input("a", FLOAT, ["batch", 4]), graph_input("b", FLOAT, ["batch", 4])],
        [graph_input("total", FLOAT, ["batch", 4]), graph_input("product", FLOAT, ["batch", 4])],
    )


def tokens() -> onnx.ModelProto:
    """logits[row, position] = (id, mask, sum of id * mask over the row): see expected_tokens."""
    nodes = [
        helper.make_node("Cast", ["input_ids"], ["ids"], to=FLOAT, name="ids"),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=FLOAT, name="mask"),
        helper.make_node("Mul", ["ids", "mask"], ["masked"], name="masked"),
        helper.make_node("ReduceSum", ["masked", "last"], ["sum"], keepdims=1, name="sum"),
        helper.make_node("Shape", ["input_ids"], ["shape"], name="shape"),
        helper.make_node("Expand", ["sum", "shape"], ["sums"], name="sums"),
        helper.make_node("Unsqueeze", ["ids", "last"], ["ids_3"], name="ids_3"),
        helper.make_node("Unsqueeze", ["mask", "last"], ["mask_3"], name="mask_3"),
        helper.make_node("Unsqueeze", ["sums", "last"], ["sums_3"], name="sums_3"),
        helper.make_node("Concat", ["ids_3", "mask_3", "sums_3"], ["logits"], axis=-1, name="head"),
    ]
    return onnx_model(
        nodes,
        [
            graph_input("input_ids", INT64, ["batch", "length"]),
            graph_input("attention_mask", INT64, ["batch", "length"]),
        ],
        [graph_input("logits", FLOAT, ["batch", "length", 3])],
        {"last": np.array([-1], np.int64)},
    )


def expected_tokens(input_ids: Array, attention_mask: Array) -> npt.NDArray[np.float32]:
    """What the tokens model answers; exact in float32 while the sums stay below 2**24."""
    sums = np.broadcast_to((input_ids * attention_mask).sum(axis=-1, keepdims=True), input_ids.shape)
    return np.stack([input_ids, attention_mask, sums], axis=-1).astype(np.float32)


@dataclass(frozen=True)
class Recipe:
    """One OM: its model and the flags of atc that are not the same for all."""

    model: onnx.ModelProto
    flags: tuple[str, ...]


def compile_model(model: onnx.ModelProto, prefix: Path, *flags: str) -> Path:
    """Compiles a model into prefix.om; fails with atc's text."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "model.onnx"
        onnx.save(model, str(source))
        result = run_atc(
            f"--model={source}",
            "--framework=5",
            f"--output={prefix}",
            "--soc_version=Ascend910B3",
            "--input_format=ND",
            *flags,
        )
    assert result.returncode == 0, result.stdout
    return prefix.with_name(prefix.name + ".om")


def _recipes() -> dict[str, Recipe]:
    exact = "--precision_mode=must_keep_origin_dtype"
    batch = "--dynamic_batch_size=1,2,4,8"
    gears = ";".join(f"{rows},{length},{rows},{length}" for rows in (1, 2, 4, 8) for length in (8, 16))
    return {
        "identity_b8": Recipe(identity(), ("--input_shape=x:-1,4", batch, exact)),
        "identity_static": Recipe(identity(), ("--input_shape=x:4,4", exact)),
        "add_mul": Recipe(add_mul(), ("--input_shape=a:-1,4;b:-1,4", batch, exact)),
        "add_mul_fp16": Recipe(
            add_mul(),
            ("--input_shape=a:-1,4;b:-1,4", batch, "--output_type=FP16", "--input_fp16_nodes=a;b"),
        ),
        "tokens": Recipe(
            tokens(), ("--input_shape=input_ids:-1,-1;attention_mask:-1,-1", f"--dynamic_dims={gears}", exact)
        ),
    }


def _key(recipe: Recipe, compiler: bytes) -> str:
    digest = hashlib.sha256(compiler)
    digest.update(recipe.model.SerializeToString(deterministic=True))
    digest.update("\0".join(recipe.flags).encode())
    return digest.hexdigest()


def build_models(folder: Path) -> None:
    """Writes the OMs into the folder. One that was built before from the same model, flags and compiler is kept.

    identity_b8      x FP32 [-1,4] -> y; batch gears 1, 2, 4, 8
    identity_static  x FP32 [4,4] -> y
    add_mul          a, b FP32 [-1,4] -> total, product; batch gears 1, 2, 4, 8
    add_mul_fp16     the same with FP16 inputs and outputs, rounded to half
    tokens           input_ids, attention_mask INT64 [-1,-1] -> logits FP32 [-1,-1,3]; gears of 1, 2, 4, 8 rows by
                     length 8, 16; values as expected_tokens
    """
    folder.mkdir(parents=True, exist_ok=True)
    compiler = hashlib.sha256(ATC.read_bytes()).digest()
    for name, recipe in _recipes().items():
        target = folder / f"{name}.om"
        key_file = folder / f"{name}.key"
        key = _key(recipe, compiler)
        if target.exists() and key_file.exists() and key_file.read_text() == key:
            continue
        with tempfile.TemporaryDirectory(dir=folder) as building:
            compile_model(recipe.model, Path(building) / name, *recipe.flags).replace(target)
        key_file.write_text(key)


if __name__ == "__main__":
    build_models(Path(sys.argv[1]))
