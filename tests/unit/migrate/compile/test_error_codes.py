"""What the compiler's error blocks mean."""

import re
from pathlib import Path

import pytest
from npuserve.migrate.compile.error_codes import explain
from support.emulator import run_atc

# As the vendor prints them, of older and newer releases.
OLD_STYLE = """ATC start working now, please wait for a moment.
ATC run failed, Please check the detail log, Try 'atc --help' for more information
E19010: No parser is registered for Op [/bert/Gelu, optype [ai.onnx::20::Gelu]].
        Solution: Check the version of the installation package.
        TraceBack (most recent call last):
        Parse model failed.[FUNC:Parse][FILE:onnx_parser.cc][LINE:851]
"""
NEW_STYLE = """ATC run failed, Please check the detail log, Try 'atc --help' for more information
[PID: 4711] 2026-01-02-03:04:05.678.901 No_Kernel(EZ3003): No supported Ops kernel and engine are found for [x].
E10001: [PID: 4711] 2026-01-02-03:04:05.678.901 Value [loud] for parameter [--log] is invalid. Reason: no such level.
"""


def test_a_block_is_explained_with_a_remedy() -> None:
    (found,) = explain(OLD_STYLE)
    assert found.code == "E19010"
    assert found.meaning == "the compiler has no parser for an operator"
    assert found.text == "No parser is registered for Op [/bert/Gelu, optype [ai.onnx::20::Gelu]]."
    assert "operators.json" in found.remedy


def test_titles_and_processes_of_newer_releases_are_read_over() -> None:
    kernel, flag = explain(NEW_STYLE)
    assert (kernel.code, flag.code) == ("EZ3003", "E10001")
    assert kernel.text.startswith("No supported Ops kernel and engine are found for [x]")
    assert flag.text.startswith("Value [loud] for parameter [--log] is invalid")


def test_a_code_is_told_once() -> None:
    assert [each.code for each in explain(OLD_STYLE + NEW_STYLE + OLD_STYLE)] == ["E19010", "EZ3003", "E10001"]


@pytest.mark.parametrize(
    ("code", "meaning"),
    [("E10099", "the command line is not right"), ("E29999", "optimized"), ("EE1001", "the runtime failed")],
)
def test_a_code_that_is_not_known_is_explained_by_its_range(code: str, meaning: str) -> None:
    (found,) = explain(f"{code}: something\n")
    assert meaning in found.meaning


def test_an_installations_own_words_explain_what_is_not_known() -> None:
    (found,) = explain("E77777: odd\n", {"E77777": "Odd Thing. Do it again."})
    assert found.meaning == "Odd Thing. Do it again"
    (known,) = explain("E10001: odd\n", {"E10001": "Other words"})
    assert known.meaning == "a flag has a value that it does not take"


def test_success_has_nothing_to_explain() -> None:
    assert explain("ATC start working now, please wait for a moment.\n...\nATC run success, welcome.\n") == []


def test_what_the_emulators_compiler_prints_is_understood(tmp_path: Path) -> None:
    result = run_atc(f"--model={tmp_path}/none.onnx", "--framework=5", "--output=x", "--soc_version=Ascend0")
    (found,) = explain(result.stdout)
    assert found.code == "E10001"
    assert re.match(r"Value \[Ascend0\] for parameter \[--soc_version\] is invalid", found.text)
