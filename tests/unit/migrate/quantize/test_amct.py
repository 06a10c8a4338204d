"""AMCT's command line, with a stand-in that checks its arguments and data as AMCT's help describes them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from npuserve.migrate.errors import MigrationError, SetupError
from npuserve.migrate.quantize.amct import (
    AmctOptions,
    Tool,
    find_amct,
    run_amct,
    write_batches,
    write_config,
)
from support.amct import write_amct, write_broken_amct
from support.cann import OPSETS, write_cann, write_program

from .conftest import EMULATED, Quantizing

SHAPES = {"input_ids": (4, 8), "attention_mask": (4, 8)}


def options(folder: Path, **changed: Any) -> AmctOptions:
    (folder / "model.onnx").write_bytes(b"graph")
    rows = [{name: np.full((1, size), size, np.int64) for name in SHAPES} for size in (3, 8, 5, 7, 6)]
    folders, batches = write_batches(folder / "data", rows, SHAPES)
    write_config(folder / "amct.cfg", batches, ["head"], ["Gemm"])
    given: dict[str, Any] = {
        "model": folder / "model.onnx",
        "save_path": folder / "made",
        "shapes": SHAPES,
        "data_dirs": folders,
        "dtypes": ["int64", "int64"],
        "batches": batches,
        "config": folder / "amct.cfg",
        **changed,
    }
    return AmctOptions(**given)


def tool(folder: Path) -> Tool:
    found = find_amct({"PATH": f"{folder}:/bin:/usr/bin"})
    assert found is not None
    return found


def test_amct_takes_the_arguments_and_the_data(tmp_path: Path) -> None:
    made = run_amct(tool(write_amct(tmp_path / "bin")), options(tmp_path), tmp_path)
    assert made.deploy.read_bytes() == b"graph"
    assert made.fake is not None
    told = json.loads((tmp_path / "told.json").read_text())
    assert "input_ids:4,8;attention_mask:4,8" in told["arguments"]
    assert told["config"].splitlines() == [
        "batch_num: 2",
        "activation_offset: false",
        'skip_layers: "head"',
        'skip_layer_types: "Gemm"',
    ]
    assert made.command.startswith("amct_onnx calibration --model ")
    assert "'input_ids:4,8;attention_mask:4,8'" in made.command


def test_batches_are_padded_rows_and_the_last_one_is_filled_again(tmp_path: Path) -> None:
    folders, count = write_batches(
        tmp_path, [{"ids": np.full((1, size), size, np.int32)} for size in (1, 2, 3)], {"ids": (2, 3)}
    )
    assert count == 2
    files = sorted(folders[0].iterdir())
    batches = [np.fromfile(file, np.int32).reshape(2, 3).tolist() for file in files]
    assert batches == [[[1, 0, 0], [2, 2, 0]], [[3, 3, 3], [1, 0, 0]]]


def test_a_row_that_is_longer_than_the_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match=r"has \[1, 9\] for input 'ids', and the model is compiled for \[2, 8\]"):
        write_batches(tmp_path, [{"ids": np.zeros((1, 9), np.int64)}], {"ids": (2, 8)})


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"dtypes": ["int64"]}, "a folder and a type for each input"),
        ({"shapes": {"input_ids": (-1, 8), "attention_mask": (4, 8)}}, "AMCT needs fixed shapes"),
        ({"shapes": {"input;ids": (4, 8), "attention_mask": (4, 8)}}, "AMCT cannot be told of the input"),
        ({"batches": 0}, "at least one batch"),
    ],
)
def test_options_that_amct_could_not_take_are_told(changed: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match=told):
        options(tmp_path, **changed)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("ModuleNotFoundError: No module named 'onnxruntime'", "AMCT's Python lacks the package onnxruntime"),
        ("ImportError: libamct_onnx_ops.so: undefined symbol: OrtGet", "operators for ONNX Runtime cannot be loaded"),
        ("[AMCT] WARNING odd\nValueError: Unsupported opset 18", "does not support something in the graph"),
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("something else", "it ended with code 1: something else"),
        ("", "it ended with code 1, and told no reason"),
    ],
)
def test_failures_are_told_in_plain_words(said: str, told: str, tmp_path: Path) -> None:
    broken = write_broken_amct(tmp_path / "bin", said)
    with pytest.raises(MigrationError, match=told) as caught:
        run_amct(tool(broken), options(tmp_path), tmp_path)
    assert any("onnxruntime" in advice for advice in caught.value.advice)
    assert (tmp_path / "amct.log").read_text() == said


def test_success_without_a_graph_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match="it wrote no"):
        run_amct(tool(write_broken_amct(tmp_path / "bin", "done", code=0)), options(tmp_path), tmp_path)


def test_bad_data_is_told_by_the_tool_itself(tmp_path: Path) -> None:
    """The stand-in refuses what AMCT would, so the tests above prove something."""
    with pytest.raises(MigrationError, match="AMCT cannot use the calibration data"):
        run_amct(tool(write_amct(tmp_path / "bin")), options(tmp_path, dtypes=["int32", "int64"]), tmp_path)


def test_a_command_that_may_not_be_run_is_told(tmp_path: Path) -> None:
    (write_amct(tmp_path) / "amct_onnx").chmod(0o644)
    with pytest.raises(SetupError, match="may not be run"):
        find_amct({"PATH": str(tmp_path)})
    assert find_amct({"PATH": "/bin"}) is None


def cann(home: Path, path: str = "") -> dict[str, str]:
    """An installation whose compiler always fails, as its machine has no NPU."""
    kinds = ["Add", "Cast", "MatMul", "Mul", "ReduceSum", "Sub", "Tanh", "Transpose", "Unsqueeze"]
    # The vendor's names of what ONNX calls otherwise.
    renamed = {"Div": "RealDiv", "Gather": "GatherV2", "LayerNormalization": "LayerNorm", "Softmax": "SoftmaxV2"}
    parsers = {f"ai.onnx::{kind}": OPSETS for kind in (*kinds, *renamed, "QuantizeLinear", "DequantizeLinear")}
    write_program(
        write_cann(home, kernels=[*kinds, *renamed.values()], parsers=parsers) / "bin/atc", "echo failed; exit 255"
    )
    return {**EMULATED, "ASCEND_HOME_PATH": str(home), "PATH": f"{path}:{EMULATED['PATH']}"}


def test_on_a_cann_machine_amct_makes_what_atc_compiles(quantizing: Quantizing, tmp_path: Path) -> None:
    environment = cann(tmp_path / "cann", str(write_amct(tmp_path / "bin")))
    quantizing.gears = (1,), (16,)
    result = quantizing.run(environment, max_accuracy_drop=40, keep_nodes=("head",))
    assert f"--model={quantizing.folder / 'deploy.onnx'}" in result.commands[1]
    assert result.commands[0].startswith("amct_onnx calibration")
    told = json.loads((quantizing.folder / "told.json").read_text())
    assert "input_ids:1,16;attention_mask:1,16" in told["arguments"]
    assert 'skip_layers: "head"' in told["config"]
    assert {"deploy.onnx", "quantized.onnx", "amct.cfg", "amct.log", "sensitive_layers.json"} <= quantizing.kept()


def test_without_amct_onnx_runtime_stands_in_and_says_so(quantizing: Quantizing, tmp_path: Path) -> None:
    quantizing.gears = (1,), (16,)
    environment = cann(tmp_path / "cann")
    result = quantizing.run(environment, max_accuracy_drop=40)
    assert any("AMCT is not installed" in note for note in result.notes)
    quantizing.clear()
    with pytest.raises(SetupError, match="there is no command amct_onnx in PATH"):
        quantizing.run(environment, tool="amct")


def test_a_failing_amct_leaves_only_its_log_to_keep(quantizing: Quantizing, tmp_path: Path) -> None:
    quantizing.gears = (1,), (16,)
    environment = cann(tmp_path / "cann", str(write_broken_amct(tmp_path / "bin", "No module named 'amct_onnx'")))
    with pytest.raises(MigrationError, match="AMCT's Python lacks the package amct_onnx"):
        quantizing.run(environment, max_accuracy_drop=40)
    assert "deploy.onnx" not in quantizing.kept()
