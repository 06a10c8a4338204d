"""The operator check, against the shipped table and against an installed CANN."""

from pathlib import Path

import pytest
from npuserve.migrate.compile.installation import Installation
from npuserve.migrate.compile.operator_report import as_json, figure_rows, text_table
from npuserve.migrate.compile.operators import OperatorReport, OperatorRow, check_operators
from npuserve.migrate.compile.outline import Outline, outline_of
from npuserve.migrate.errors import MigrationError
from support.cann import OPSETS, write_cann
from support.models import tokens

SOC = "Ascend910B3"


def outline(*operators: str, opset: int = 17, domain: str = "") -> Outline:
    return Outline(
        opsets={"": opset, "com.microsoft": 1},
        operators={(domain, name): 1 for name in operators},
        inputs=(),
        outputs=(),
    )


def the_row(report: OperatorReport, name: str) -> OperatorRow:
    (row,) = (row for row in report.rows if row.name == name)
    return row


def test_a_model_of_standard_operators_is_supported_by_the_shipped_table() -> None:
    report = check_operators(outline_of(tokens()), SOC, None)
    assert report.unsupported == ()
    assert report.unknown_to_emulator == ()
    assert (the_row(report, "Unsqueeze").count, the_row(report, "Unsqueeze").opset) == (3, 17)


def test_the_table_says_which_cann_it_stands_for_and_where_it_is_from() -> None:
    report = check_operators(outline_of(tokens()), SOC, None)
    assert report.version == "8.0"
    assert "the table that npuserve ships" in report.source
    assert "hiascend.com" in report.source


def test_an_unsupported_operator_comes_first_with_what_to_do() -> None:
    report = check_operators(outline("Add", "Gelu", opset=18), SOC, None)
    row = report.rows[0]
    assert row.name == "Gelu"
    assert row.status == "unsupported"
    assert row.reason == "not among the ONNX operators of CANN 8.0"
    assert "opset 18 or below" in row.advice
    assert row.emulator


def test_an_opset_beyond_the_compilers_is_told_with_the_one_to_take() -> None:
    row = the_row(check_operators(outline("Add", opset=21), SOC, None), "Add")
    assert row.status == "unsupported"
    assert row.reason == "opset 21 is outside 9 to 18, those of CANN 8.0"
    assert row.advice == "export with opset 18: set opset = 18 under [export]"


def test_operators_of_another_domain_are_unsupported() -> None:
    row = the_row(check_operators(outline("FusedMatMul", domain="com.microsoft"), SOC, None), "FusedMatMul")
    assert row.full_name == "com.microsoft::FusedMatMul"
    assert row.status == "unsupported"
    assert row.advice == "export without ONNX Runtime's optimizer, which fuses standard operators into this one"


def test_an_operator_that_nobody_knows_gets_general_advice() -> None:
    row = the_row(check_operators(outline("Frobnicate"), SOC, None), "Frobnicate")
    assert row.status == "unsupported"
    assert "serve this model by ONNX Runtime" in row.advice
    assert not row.emulator


def test_quantization_nodes_are_what_the_vendor_replaces() -> None:
    report = check_operators(outline("QuantizeLinear", "DequantizeLinear"), SOC, None)
    assert [row.status for row in report.rows] == ["replaced", "replaced"]
    assert report.unsupported == ()
    assert "AMCT writes AscendQuant" in the_row(report, "QuantizeLinear").reason


def test_a_name_that_is_no_chip_is_refused() -> None:
    with pytest.raises(MigrationError, match="soc_version is 'Ascend910B9', which names no chip") as caught:
        check_operators(outline("Add"), "Ascend910B9", None)
    assert "npu-smi info" in caught.value.advice[0]


def test_an_installed_cann_knows_better_than_the_table(tmp_path: Path) -> None:
    home = write_cann(
        tmp_path, kernels=["Add", "SoftmaxV2"], parsers={"ai.onnx::Add": OPSETS, "ai.onnx::Softmax": OPSETS}
    )
    report = check_operators(outline("Add", "Softmax", "Erf"), SOC, Installation(home))
    assert report.version == "8.1.RC1"
    assert str(home) in report.source
    assert the_row(report, "Add").status == the_row(report, "Softmax").status == "supported"
    row = the_row(report, "Erf")
    assert (row.status, row.reason) == ("unsupported", "no parser of CANN's is registered for it")


def test_a_parser_without_a_kernel_is_not_enough(tmp_path: Path) -> None:
    home = write_cann(tmp_path, kernels=["Add"], parsers={"ai.onnx::Erf": OPSETS})
    row = the_row(check_operators(outline("Erf"), SOC, Installation(home)), "Erf")
    assert row.status == "unsupported"
    assert row.reason == "Ascend910B3 has no kernel for it: none of Erf"


def test_a_kernel_of_the_devices_cpus_counts(tmp_path: Path) -> None:
    home = write_cann(tmp_path, kernels=["Add"], processor_kernels=["Erf"], parsers={"ai.onnx::Erf": OPSETS})
    assert check_operators(outline("Erf"), SOC, Installation(home)).unsupported == ()


def test_shapes_need_no_kernel(tmp_path: Path) -> None:
    home = write_cann(tmp_path, kernels=["Add"], parsers={"ai.onnx::Reshape": OPSETS})
    assert check_operators(outline("Reshape"), SOC, Installation(home)).unsupported == ()


def test_a_parser_must_be_for_the_models_opset(tmp_path: Path) -> None:
    home = write_cann(tmp_path, kernels=["Add"], parsers={"ai.onnx::Add": OPSETS})
    row = the_row(check_operators(outline("Add", opset=20), SOC, Installation(home)), "Add")
    assert row.reason == "it has parsers for the opsets 8 to 18, not for 20"
    assert row.advice == "export with opset 18: set opset = 18 under [export]"


def test_without_a_plug_in_the_table_stands_for_the_parsers(tmp_path: Path) -> None:
    home = write_cann(tmp_path, kernels=["Add"])
    report = check_operators(outline("Add", "Gelu"), SOC, Installation(home))
    assert [row.name for row in report.unsupported] == ["Gelu"]


def test_a_custom_operator_with_a_parser_in_its_domain_is_supported(tmp_path: Path) -> None:
    home = write_cann(tmp_path, kernels=["Add"], parsers={"com.microsoft::FusedMatMul": [1]})
    report = check_operators(outline("FusedMatMul", domain="com.microsoft"), SOC, Installation(home))
    assert report.unsupported == ()


def test_the_table_is_text_json_and_figures_of_one_content() -> None:
    report = check_operators(outline("Add", "Frobnicate"), SOC, None)
    lines = text_table(report).splitlines()
    assert lines[0].startswith("operators of Ascend910B3, CANN 8.0, from the table that npuserve ships")
    assert lines[3].split()[:5] == ["Frobnicate", "ai.onnx", "17", "1", "unsupported"]
    assert lines[-1] == "2 operators, 2 nodes: 1 not supported: Frobnicate (1)"
    content = as_json(report)
    assert content["unsupported"] == ["Frobnicate"]
    assert [each["name"] for each in content["operators"]] == ["Frobnicate", "Add"]
    rows = figure_rows(report)
    assert [(row["operator"], row["status"]) for row in rows] == [("Frobnicate", "unsupported"), ("Add", "supported")]
    assert rows[0]["remedy"].startswith("not among the ONNX operators of CANN 8.0; ")
