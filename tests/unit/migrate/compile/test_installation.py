from pathlib import Path

import pytest
from npuserve.migrate.compile.installation import Installation, installed
from npuserve.migrate.errors import SetupError
from support.cann import write_cann, write_plugin, write_program


def test_without_the_variable_there_is_no_cann() -> None:
    assert installed({}) is None


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"ASCEND_HOME_PATH is .*, which is no folder"):
        installed({"ASCEND_HOME_PATH": str(tmp_path / "gone")})


def test_versions_are_read_from_the_vendors_files(tmp_path: Path) -> None:
    found = Installation(write_cann(tmp_path, version="8.1.RC1"))
    assert (found.version, found.compiler_version, found.operator_version) == ("8.1.RC1", "8.1.RC1", "8.1.RC1")


def test_a_version_may_be_told_by_the_compilers_file_alone(tmp_path: Path) -> None:
    (tmp_path / "compiler").mkdir()
    (tmp_path / "compiler/version.info").write_text("Version=7.7.0.1.238\n")
    assert Installation(tmp_path).version == "7.7.0.1.238"
    assert Installation(tmp_path / "compiler").version == "7.7.0.1.238"


def test_no_file_of_versions_means_no_version(tmp_path: Path) -> None:
    assert Installation(tmp_path).version == ""


@pytest.mark.parametrize("place", ["bin/atc", "compiler/bin/atc"])
def test_the_compiler_is_found(place: str, tmp_path: Path) -> None:
    program = write_program(tmp_path / place, "exit 0")
    assert Installation(tmp_path).atc == program


def test_a_cann_without_compiler_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"there is no atc: looked for .*/bin/atc and .*/compiler/bin/atc") as caught:
        _ = Installation(tmp_path).atc
    assert "unset ASCEND_HOME_PATH" in caught.value.advice[1]


def test_a_compiler_that_may_not_be_run_is_told(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/atc").touch(mode=0o644)
    with pytest.raises(SetupError, match="may not be run by this user"):
        _ = Installation(tmp_path).atc


def test_kernels_and_parsers_are_read_from_the_vendors_formats(tmp_path: Path) -> None:
    home = write_cann(
        tmp_path,
        kernels=["Add", "SoftmaxV2"],
        processor_kernels=["Unique"],
        parsers={"ai.onnx::Add": [8, 18], "npu::NPUGeluV2": [1]},
    )
    known = Installation(home).operators("Ascend910B3")
    assert known.kernels == {"Add", "SoftmaxV2", "Unique"}
    assert known.parsers == {("", "Add"): {8, 18}, ("npu", "NPUGeluV2"): {1}}
    assert len(known.files) == 3


def test_files_of_several_packages_and_of_custom_operators_add_up(tmp_path: Path) -> None:
    home = write_cann(tmp_path, kernels=["Add"])
    config = "op_impl/ai_core/tbe/config/ascend910b"
    (home / "opp/built-in" / config / "aic-ascend910b-ops-info-nn.json").write_text('{"Erf": {}}')
    own = home / "opp/vendors/customize" / config
    own.mkdir(parents=True)
    (own / "aic-ascend910b-ops-info.json").write_text('{"AddCustom": {}}')
    write_plugin(home / "opp/vendors/customize/framework/onnx/libcust_onnx_parsers.so", {"own::AddCustom": [1]})
    known = Installation(home).operators("Ascend910B3")
    assert known.kernels == {"Add", "Erf", "AddCustom"}
    assert known.parsers == {("own", "AddCustom"): {1}}


def test_a_chip_whose_operators_are_not_installed_is_told_with_those_that_are(tmp_path: Path) -> None:
    home = write_cann(tmp_path, chip="ascend310p", kernels=["Add"])
    with pytest.raises(SetupError, match=r"operators of Ascend910B3 are not installed.*those of ascend310p are there"):
        Installation(home).operators("Ascend910B3")


@pytest.mark.parametrize(("content", "reason"), [("{", "damaged"), ("[]", "must be one object")])
def test_damaged_operator_information_is_told(content: str, reason: str, tmp_path: Path) -> None:
    home = write_cann(tmp_path, kernels=["Add"])
    (path,) = home.glob("opp/**/aic-*.json")
    path.write_text(content)
    with pytest.raises(SetupError, match=reason):
        Installation(home).operators("Ascend910B3")


def test_an_empty_plug_in_has_no_parsers(tmp_path: Path) -> None:
    home = write_cann(tmp_path, kernels=["Add"], parsers={})
    (plugin,) = home.glob("opp/**/*.so")
    plugin.write_bytes(b"")
    assert Installation(home).operators("Ascend910B3").parsers == {}


def test_the_vendors_own_words_for_errors_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "aarch64-linux/conf/error_manager"
    folder.mkdir(parents=True)
    (folder / "error_code.json").write_text(
        '{"error_info_list": [{"ErrCode": "E77777", "errTitle": "Odd Thing", "ErrMessage": "x",'
        ' "suggestion": {"Possible Cause": "N/A", "Solution": "Do it again."}}]}'
    )
    assert Installation(tmp_path).error_texts() == {"E77777": "Odd Thing Do it again."}
    (folder / "error_code.json").write_text("{")
    assert Installation(tmp_path).error_texts() == {}
