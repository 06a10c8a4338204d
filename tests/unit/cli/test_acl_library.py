from pathlib import Path

import pytest
from npuserve.cli import acl_library
from npuserve.cli.acl_library import LibraryNotFoundError, acl_candidates, atc_program

HOME = {"ASCEND_HOME_PATH": "/usr/local/Ascend/latest"}
VENDOR = (
    ("/usr/local/Ascend/latest/lib64/libascendcl.so",),
    ("/usr/local/Ascend/latest/lib64/libacl_rt.so", "/usr/local/Ascend/latest/lib64/libacl_mdl.so"),
)


@pytest.fixture
def emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(acl_library, "EMULATOR_DIR", tmp_path)
    for name in ("libascendcl.so", "atc"):
        (tmp_path / name).touch()
    return tmp_path


def test_without_a_vendor_it_is_the_embedded_emulator(emulator: Path) -> None:
    assert acl_candidates(None, "auto", {}) == ((str(emulator / "libascendcl.so"),),)


@pytest.mark.parametrize("device", ["auto", "npu"])
def test_with_a_vendor_it_is_the_vendors_alone(emulator: Path, device: str) -> None:
    assert acl_candidates(None, device, HOME) == VENDOR


def test_the_emulator_can_be_asked_for_beside_a_vendor(emulator: Path) -> None:
    assert acl_candidates(None, "emulator", HOME) == ((str(emulator / "libascendcl.so"),),)


def test_a_named_library_goes_before_all(emulator: Path) -> None:
    environment = {**HOME, "NPUSERVE_ACL_LIBRARY": "/opt/b.so"}
    assert acl_candidates("/opt/a.so", "auto", environment) == (("/opt/a.so",),)
    assert acl_candidates(None, "emulator", environment) == (("/opt/b.so",),)
    assert acl_candidates("/opt/rt.so,/opt/mdl.so", "auto", {}) == (("/opt/rt.so", "/opt/mdl.so"),)


def test_a_named_folder_holds_one_library_or_a_pair(tmp_path: Path) -> None:
    assert acl_candidates(str(tmp_path), "auto", {}) == (
        (str(tmp_path / "libascendcl.so"),),
        (str(tmp_path / "libacl_rt.so"), str(tmp_path / "libacl_mdl.so")),
    )


def test_an_npu_without_a_vendor_is_refused(emulator: Path) -> None:
    with pytest.raises(LibraryNotFoundError, match="ASCEND_HOME_PATH"):
        acl_candidates(None, "npu", {})


def test_without_anything_the_message_says_what_was_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acl_library, "EMULATOR_DIR", tmp_path)
    with pytest.raises(LibraryNotFoundError, match="ASCEND_HOME_PATH is not set and the embedded emulator is not"):
        acl_candidates(None, "auto", {})
    with pytest.raises(LibraryNotFoundError, match=f"no atc found, looked for {tmp_path}/atc"):
        atc_program({})


def test_the_vendors_compiler_goes_before_the_emulators(emulator: Path, tmp_path: Path) -> None:
    assert atc_program(HOME) == emulator / "atc"
    home = tmp_path / "cann"
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "atc").touch()
    assert atc_program({"ASCEND_HOME_PATH": str(home)}) == home / "bin" / "atc"
