"""Which compiler is taken, and what is odd about its surroundings."""

from pathlib import Path

import pytest
from npuserve.migrate.compile import compiler
from npuserve.migrate.compile.compiler import find_compiler
from npuserve.migrate.errors import SetupError
from support.cann import write_cann, write_program
from support.emulator import ATC

SOC = "Ascend910B3"


def cann(home: Path) -> Path:
    write_program(write_cann(home, kernels=["Add"]) / "bin/atc", "exit 0")
    return home


def test_without_cann_it_is_the_emulators() -> None:
    found = find_compiler({"PATH": "/bin"}, SOC)
    assert not found.is_vendor
    assert (found.program, found.shown) == (ATC, "npuserve atc")
    assert found.name.startswith("the emulator's, OpenVINO ")
    # Else it would refuse models of other chips than its default.
    assert found.environment["NPUSERVE_EMULATOR_SOC"] == SOC


def test_cann_is_taken_where_it_is(tmp_path: Path) -> None:
    home = cann(tmp_path)
    found = find_compiler({"ASCEND_HOME_PATH": str(home), "ASCEND_OPP_PATH": "/elsewhere/opp"}, SOC)
    assert found.is_vendor
    assert (found.program, found.name) == (home / "bin/atc", "CANN 8.1.RC1")
    assert found.environment["ASCEND_OPP_PATH"] == "/elsewhere/opp"


def test_a_variable_that_set_env_would_set_is_filled_in_and_told(tmp_path: Path) -> None:
    found = find_compiler({"ASCEND_HOME_PATH": str(cann(tmp_path))}, SOC)
    assert found.environment["ASCEND_OPP_PATH"] == str(tmp_path / "opp")
    assert any("ASCEND_OPP_PATH is not set" in note for note in found.notes)


def test_packages_of_different_versions_are_told(tmp_path: Path) -> None:
    home = cann(tmp_path)
    (home / "opp/version.info").write_text("version_dir=8.0.0\n")
    found = find_compiler({"ASCEND_HOME_PATH": str(home)}, SOC)
    assert any("compiler is of version 8.1.RC1, its operators of 8.0.0" in note for note in found.notes)


def test_a_cann_without_compiler_does_not_end_with_the_emulators(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="there is no atc"):
        find_compiler({"ASCEND_HOME_PATH": str(write_cann(tmp_path, kernels=["Add"]))}, SOC)


def test_no_compiler_at_all_says_where_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "_EMULATOR", tmp_path / "atc")
    with pytest.raises(SetupError, match="there is no atc: ASCEND_HOME_PATH is not set") as caught:
        find_compiler({}, SOC)
    assert "npuserve[emulator]" in caught.value.advice[1]
