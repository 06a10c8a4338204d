"""The whole stage, with the emulator's compiler and with one that stands for the vendor's."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from npuserve.migrate.chain.gates import Check
from npuserve.migrate.chain.settings import CompileSettings, Settings, SourceSettings
from npuserve.migrate.chain.stage import Result, Workspace
from npuserve.migrate.compile import CompileStage
from npuserve.migrate.compile.quantized import Quantize, Quantized, QuantizeJob
from npuserve.migrate.errors import MigrationError, SetupError
from onnx import helper
from support.cann import OPSETS, write_cann, write_program
from support.emulator import ATC, LIBRARY
from support.models import FLOAT, graph_input, onnx_model, tokens

LENGTHS = (5, 9, 17, 33, 60)
EMULATED: Mapping[str, str] = {"PATH": "/bin:/usr/bin"}


class Migration:
    """A folder with a finished export, where the stage runs."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.told: list[str] = []
        (work / "S1_export").mkdir()
        self.export(tokens())
        (work / "S1_export/lengths.txt").write_text("".join(f"{length}\n" for length in LENGTHS))

    @property
    def folder(self) -> Path:
        return self.work / "S2_compile.partial"

    def export(self, model: onnx.ModelProto) -> None:
        onnx.save(model, str(self.work / "S1_export/model.onnx"))

    def workspace(self, **settings: Any) -> Workspace:
        source = SourceSettings(name="tokens", onnx=Path("model.onnx"))
        given = {"max_batch": 2, "max_gears": 6, **settings}
        return Workspace(settings=Settings(source=source, compile=CompileSettings(**given)), work=self.work)

    def run(
        self, environment: Mapping[str, str] = EMULATED, quantize: Quantize | None = None, **settings: Any
    ) -> Result:
        self.folder.mkdir()
        stage = CompileStage(environment, quantize)
        return stage.run(self.workspace(**settings), self.folder, self.told.append)

    def fingerprint(self, environment: Mapping[str, str] = EMULATED, **settings: Any) -> str:
        return CompileStage(environment).fingerprint(self.workspace(**settings))

    def kept(self) -> set[str]:
        return {path.name for path in self.folder.iterdir()}


@pytest.fixture
def migration(tmp_path: Path) -> Migration:
    return Migration(tmp_path)


def failed(result: Result) -> list[str]:
    return [check.name for check in result.checks if not check.passed]


def test_a_model_comes_out_as_planned(migration: Migration) -> None:
    result = migration.run()
    assert result.passed, result.notes
    assert [check.name for check in result.checks] == [
        "unsupported operators",
        "exit code of atc",
        "OMs that load",
        "inputs and outputs unlike the ONNX",
        "gears unlike the plan",
    ]
    assert migration.kept() == set(result.artifacts)
    assert {"model.om", "operators.json", "command.txt", "atc.log", "gears.json"} <= set(result.artifacts)
    assert result.advice == []
    assert migration.told[-1] == "loading the OM"


def test_gears_are_written_for_the_stages_that_follow(migration: Migration) -> None:
    result = migration.run(batches=(1, 2), lengths=(8, 64))
    gears = json.loads((migration.folder / "gears.json").read_text())
    assert (gears["batches"], gears["lengths"]) == ([1, 2], [8, 64])
    assert gears["gears"][0] == {"input_ids": [1, 8], "attention_mask": [1, 8]}
    assert 0 < gears["padding_waste"] < 1
    described = json.loads((migration.folder / "description.json").read_text())
    assert sorted(gear["inputs"][0] for gear in described["gears"]) == [[1, 8], [1, 64], [2, 8], [2, 64]]
    assert result.figures["gears"] == [[1, 8], [1, 64], [2, 8], [2, 64]]


def test_the_result_is_plain_json_with_the_commands_to_repeat_it(migration: Migration) -> None:
    result = migration.run()
    figures = json.loads(json.dumps(dict(result.figures)))
    assert figures["operators"][0]["operator"] == "Unsqueeze"
    assert any(row["chosen"] for row in figures["padding"])
    assert figures["om_bytes"] > 0
    atc, describe = result.commands
    final = migration.work / "S2_compile"
    assert atc.startswith("npuserve atc --model=")
    assert f"--output={final}/model" in atc
    assert describe == f"npuserve describe {final}/model.om"
    assert 0 < result.foreign_seconds < result.seconds


def test_an_unknown_operator_stops_before_the_compiler(migration: Migration) -> None:
    model = tokens()
    model.graph.node[2].op_type = "Frobnicate"
    migration.export(model)
    result = migration.run()
    assert result.checks == [Check(name="unsupported operators", value=1, sense="equal", limit=0)]
    assert result.advice[0].startswith("Frobnicate: not among the ONNX operators of CANN 8.0; write it with other")
    assert "backend = 'onnxruntime'" in result.advice[-1]
    assert migration.kept() == {"operators.json", "operators.txt", "gears.json"}
    assert json.loads((migration.folder / "operators.json").read_text())["unsupported"] == ["Frobnicate"]


def test_an_operator_that_only_cann_has_is_told_where_it_cannot_be_compiled(migration: Migration) -> None:
    nodes = [helper.make_node("Det", ["x"], ["y"])]
    migration.export(
        onnx_model(nodes, [graph_input("x", FLOAT, ["batch", 2, 2])], [graph_input("y", FLOAT, ["batch"])])
    )
    result = migration.run()
    assert failed(result) == ["operators unknown to the emulator"]
    assert "compile on a machine with CANN, which has Det" in result.advice[0]


def test_what_the_compiler_refuses_is_explained(migration: Migration) -> None:
    result = migration.run(extra=("--out_nodes=nowhere:0",))
    assert failed(result) == ["exit code of atc"]
    assert result.figures["errors"][0]["code"] == "E10016"
    assert any("names an input or operator that the ONNX does not have" in note for note in result.notes)
    assert result.advice
    assert "model.om" not in migration.kept()
    assert "E10016" in (migration.folder / "atc.log").read_text()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"soc_version": "Ascend7"}, "names no chip"),
        ({"precision": "fp16"}, "precision is 'fp16', it must be one of"),
        ({"extra": ("--precison_mode=fp16",)}, "atc has no flag --precison_mode"),
        ({"mix_list": Path("mix.json")}, "a mix list is given with must_keep_origin_dtype"),
        ({"precision": "int8"}, "the graph has no MatMul or Gemm with constant weights"),
    ],
)
def test_contradictions_are_told_before_anything_is_written(
    settings: dict[str, Any], told: str, migration: Migration
) -> None:
    with pytest.raises(MigrationError, match=told) as caught:
        migration.run(**settings)
    assert caught.value.advice or "must be one of" in told
    assert migration.kept() == set()


def test_a_missing_export_is_told(migration: Migration) -> None:
    (migration.work / "S1_export/model.onnx").unlink()
    with pytest.raises(MigrationError, match="the export has not run"):
        migration.run()


def test_the_fingerprint_follows_the_settings_and_the_files_that_they_name(
    migration: Migration, tmp_path: Path
) -> None:
    plain = migration.fingerprint()
    assert migration.fingerprint() == plain
    assert migration.fingerprint(precision="force_fp16") != plain
    mix = tmp_path / "mix.json"
    mix.write_text("{}")
    before = migration.fingerprint(mix_list=mix, precision="allow_mix_precision")
    mix.write_text('{"black-list": {}}')
    assert migration.fingerprint(mix_list=mix, precision="allow_mix_precision") != before


def test_the_fingerprint_follows_the_compilers_version(migration: Migration, tmp_path: Path) -> None:
    environment = {"ASCEND_HOME_PATH": str(write_cann(tmp_path / "cann", version="8.0.0"))}
    before = migration.fingerprint(environment)
    write_cann(tmp_path / "cann", version="8.1.RC1")
    assert len({before, migration.fingerprint(environment), migration.fingerprint()}) == 3


def quantized(job: QuantizeJob) -> Quantized:
    """Writes the same graph with its first values quantized and taken back."""
    model = tokens()
    scales = {"scale": np.float32(1), "zero": np.int8(0)}
    model.graph.initializer.extend(onnx.numpy_helper.from_array(np.array(v), name) for name, v in scales.items())
    model.graph.node[2].input[0] = "taken_back"
    model.graph.node.insert(1, helper.make_node("DequantizeLinear", ["int8", "scale", "zero"], ["taken_back"]))
    model.graph.node.insert(1, helper.make_node("QuantizeLinear", ["ids", "scale", "zero"], ["int8"]))
    path = job.folder / "quantized.onnx"
    onnx.save(model, str(path))
    return Quantized(
        model=path,
        found=Result(checks=[Check(name="drop", value=0, sense="at most", limit=1)]),
        compare=lambda om: Result(figures={"precisions": [{"size_bytes": om.stat().st_size}]}),
    )


def test_int8_compiles_the_quantized_graph(migration: Migration) -> None:
    result = migration.run(quantize=quantized, precision="int8")
    assert result.passed, result.notes
    assert result.checks[0].name == "drop"
    assert result.figures["precisions"] == [{"size_bytes": (migration.folder / "model.om").stat().st_size}]
    assert f"--model={migration.work}/S2_compile/quantized.onnx" in result.commands[0]
    statuses = {row["operator"]: row["status"] for row in result.figures["operators"]}
    assert statuses["QuantizeLinear"] == "replaced"
    assert any("quantized models fixed shapes only" in note for note in result.notes)


class Cann:
    """An installation whose compiler is a script."""

    def __init__(self, home: Path, script: str, parsers: Sequence[str]) -> None:
        names = {f"ai.onnx::{name}": OPSETS for name in parsers}
        kernels = ["Cast", "Mul", "ReduceSum", "Expand", "ConcatV2"]
        write_program(write_cann(home, kernels=kernels, parsers=names) / "bin/atc", script)
        self.home = home
        self.environment = {**EMULATED, "ASCEND_HOME_PATH": str(home)}


PARSERS = ("Cast", "Mul", "ReduceSum", "Shape", "Expand", "Unsqueeze", "Concat")


def test_cann_is_used_where_it_is_with_its_own_operator_information(migration: Migration, tmp_path: Path) -> None:
    cann = Cann(tmp_path / "cann", f'exec "{ATC}" "$@"', PARSERS)
    (cann.home / "lib64").mkdir()
    (cann.home / "lib64/libascendcl.so").symlink_to(LIBRARY)
    result = migration.run(cann.environment)
    assert result.passed, result.notes
    assert result.figures["versions"] == {"CANN": "8.1.RC1"}
    assert str(cann.home) in result.figures["operators_from"]
    assert result.commands[0].startswith(f"{cann.home}/bin/atc --model=")


def test_an_operator_that_the_installed_cann_lacks_is_told(migration: Migration, tmp_path: Path) -> None:
    cann = Cann(tmp_path / "cann", "exit 1", [name for name in PARSERS if name != "Expand"])
    result = migration.run(cann.environment)
    assert failed(result) == ["unsupported operators"]
    assert result.advice[0].startswith("Expand: no parser of CANN's is registered for it")


def test_an_error_of_the_vendors_compiler_is_explained(migration: Migration, tmp_path: Path) -> None:
    cann = Cann(tmp_path / "cann", "echo 'E40020: Failed to import Python module [te].'; exit 255", PARSERS)
    result = migration.run(cann.environment)
    assert failed(result) == ["exit code of atc"]
    assert "pip install numpy decorator sympy" in result.advice[0]


def test_an_om_that_does_not_load_here_fails_the_gate(migration: Migration, tmp_path: Path) -> None:
    script = f'"{ATC}" "$@"'
    result = migration.run(Cann(tmp_path / "cann", script, PARSERS).environment)
    assert failed(result) == ["OMs that load"]
    assert any("the OM does not load" in note for note in result.notes)
    assert "run the migration where the NPU is" in result.advice[0]


def test_int8_is_one_gear_for_the_vendor_and_more_contradict(migration: Migration, tmp_path: Path) -> None:
    parsers = (*PARSERS, "QuantizeLinear", "DequantizeLinear")
    cann = Cann(tmp_path / "cann", "echo failed; exit 255", parsers)
    with pytest.raises(MigrationError, match="an int8 model is to be compiled with 2 gears"):
        migration.run(cann.environment, quantized, precision="int8", batches=(1, 2), lengths=(64,))
    migration.folder.rmdir()
    result = migration.run(cann.environment, quantized, precision="int8")
    assert result.figures["gears"] == [[2, 128]]


def test_a_chip_without_its_operator_package_is_told(migration: Migration, tmp_path: Path) -> None:
    cann = Cann(tmp_path / "cann", "exit 1", PARSERS)
    with pytest.raises(SetupError, match="the operators of Ascend310P3 are not installed"):
        migration.run(cann.environment, soc_version="Ascend310P3")
