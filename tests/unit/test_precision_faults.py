"""Operators that the compiler is told to compute wrong."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from support.acl import Acl, Array
from support.emulator import run_atc
from support.models import FLOAT, compile_model, graph_input, onnx_model

VARIABLE = "NPUSERVE_EMULATOR_PRECISION_FAULTS"
X = np.array([[-2.0, -1.0, 0.0, 1.0]], np.float32)


def doubled_twice() -> onnx.ModelProto:
    """y = (x + x) + (x + x), of two nodes."""
    return onnx_model(
        [
            helper.make_node("Add", ["x", "x"], ["twice"], name="block:0/first"),
            helper.make_node("Add", ["twice", "twice"], ["y"], name="second"),
        ],
        [graph_input("x", FLOAT, [1, 4])],
        [graph_input("y", FLOAT, [1, 4])],
    )


def answer(folder: Path, *flags: str) -> Array:
    om = compile_model(doubled_twice(), folder / "model", "--input_shape=x:1,4", *flags)
    with Acl() as acl:
        model = acl.load(om)
        try:
            return model.run([X])[0]
        finally:
            model.unload()


def test_a_named_node_computes_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "another:0.5;block:0/first:0.25")
    computed = answer(tmp_path, "--precision_mode=must_keep_origin_dtype")
    np.testing.assert_array_equal(computed, 2 * (2 * X + 0.25 * np.abs(2 * X)))


def test_a_fault_of_half_precision_is_not_in_float32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "second:0.25:half")
    np.testing.assert_array_equal(answer(tmp_path), 4 * X + 0.25 * np.abs(4 * X))
    np.testing.assert_array_equal(answer(tmp_path, "--precision_mode=must_keep_origin_dtype"), 4 * X)
    keep = tmp_path / "keep.txt"
    keep.write_text("second\n")
    np.testing.assert_array_equal(answer(tmp_path, f"--keep_dtype={keep}"), 4 * X)


@pytest.mark.parametrize("rule", ["second", "second:much", ":0.5"])
def test_a_bad_rule_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: str) -> None:
    monkeypatch.setenv(VARIABLE, rule)
    onnx.save(doubled_twice(), str(tmp_path / "model.onnx"))
    result = run_atc(
        f"--model={tmp_path / 'model.onnx'}",
        "--framework=5",
        f"--output={tmp_path / 'out'}",
        "--soc_version=Ascend910B3",
    )
    assert result.returncode != 0
    assert f"'{rule}', not node:relative[:half]" in result.stdout
