"""CANN: folder, versions, library and compiler. The emulator's library stands in for the vendor's."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from npuserve.migrate.doctor.cann import cann_group
from npuserve.migrate.doctor.finding import Finding, Verdict
from support.ascend_hosts import HOME, Host
from support.emulator import LIBRARY


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path, library=LIBRARY)


def findings(host: Host) -> dict[str, Finding]:
    return {finding.name: finding for finding in cann_group(host.machine).findings}


def test_a_whole_installation_has_no_problem(host: Host) -> None:
    found = findings(host)
    assert {finding.verdict for finding in found.values()} == {Verdict.OK}
    assert found["version"].detail == "8.5.0"
    assert found["libascendcl.so"].detail.endswith("libascendcl.so: 1 device, Ascend910B3")
    assert found["atc"].detail == f"{host.at(HOME)}/bin/atc, for ascend910b"


def test_without_npu_and_cann_the_emulator_is_pointed_at(tmp_path: Path) -> None:
    (finding,) = findings(Host(tmp_path, npu=False, cann=False)).values()
    assert (finding.verdict, finding.remedy) == (Verdict.NOT_HERE, "the emulator serves and compiles here")


def test_a_library_that_is_named_is_tried_without_cann_too(tmp_path: Path) -> None:
    host = Host(tmp_path, npu=False, cann=False)
    machine = replace(host.machine, libraries=((str(tmp_path / "acl.so"),),))
    found = {finding.name: finding for finding in cann_group(machine).findings}
    assert found["libascendcl.so"].verdict is Verdict.PROBLEM
    assert found["libascendcl.so"].detail == f"looked for {tmp_path / 'acl.so'}"


def test_a_driver_without_cann_is_a_problem(tmp_path: Path) -> None:
    (finding,) = findings(Host(tmp_path, cann=False)).values()
    assert finding.verdict is Verdict.PROBLEM and finding.remedy.startswith("install CANN's toolkit")


@pytest.mark.parametrize(
    ("folder", "script"),
    [
        ("/usr/local/Ascend/cann", "/usr/local/Ascend/cann/set_env.sh"),
        ("/usr/local/Ascend/ascend-toolkit/latest", "/usr/local/Ascend/ascend-toolkit/set_env.sh"),
    ],
)
def test_cann_whose_script_was_not_sourced_is_found(tmp_path: Path, folder: str, script: str) -> None:
    host = Host(tmp_path, cann=False)
    host.at(folder).mkdir(parents=True)
    assert findings(host)["ASCEND_HOME_PATH"].remedy == f"source {script}"


def test_a_home_that_is_no_folder_is_a_problem(host: Host) -> None:
    shutil.rmtree(host.at(HOME))
    (finding,) = findings(host).values()
    assert (finding.verdict, finding.detail) == (Verdict.PROBLEM, f"{host.at(HOME)} is no folder")


def test_a_home_that_tells_no_version_is_not_canns(host: Host) -> None:
    for name in ("version.cfg", "compiler/version.info", "opp/version.info"):
        host.at(f"{HOME}/{name}").unlink()
    assert findings(host)["version"].verdict is Verdict.PROBLEM


def test_a_release_that_is_too_old_is_a_problem(host: Host) -> None:
    host.write(f"{HOME}/version.cfg", "toolkit_running_version=[6.3.RC2:6.3.RC2]\n")
    found = findings(host)["version"]
    assert (found.verdict, found.detail) == (Verdict.PROBLEM, "6.3.RC2 is too old")


def test_parts_of_different_releases_are_a_problem(host: Host) -> None:
    host.write(f"{HOME}/opp/version.info", "Version=8.0.RC3\n")
    assert findings(host)["parts"].detail == "are of different releases: compiler 8.5.0, operators 8.0.RC3"


def test_a_library_that_is_not_there_is_a_problem(host: Host) -> None:
    host.at(f"{HOME}/lib64/libascendcl.so").unlink()
    found = findings(host)["libascendcl.so"]
    assert found.verdict is Verdict.PROBLEM and found.detail.startswith("looked for ")


def test_a_library_that_is_none_is_a_problem(host: Host) -> None:
    place = host.at(f"{HOME}/lib64/libascendcl.so")
    place.unlink()
    place.write_text("not a library")
    found = findings(host)["libascendcl.so"]
    assert found.verdict is Verdict.PROBLEM and "does not load: " in found.detail
    assert "LD_LIBRARY_PATH" in found.remedy


def test_a_library_that_counts_no_device_is_a_problem_where_there_is_an_npu(host: Host) -> None:
    host.environment["NPUSERVE_EMULATOR_FAULTS"] = "aclrtGetDeviceCount:*:507899"
    found = findings(host)["libascendcl.so"]
    assert found.verdict is Verdict.PROBLEM
    assert found.detail.endswith("loads, but counts no device: 507899") and "npu-smi info" in found.remedy


def test_a_machine_that_only_compiles_needs_no_device(tmp_path: Path) -> None:
    host = Host(tmp_path, npu=False, library=LIBRARY)
    host.environment["NPUSERVE_EMULATOR_FAULTS"] = "aclInit:*:100039"
    found = findings(host)["libascendcl.so"]
    assert found.verdict is Verdict.NOT_HERE and found.detail.endswith("loads, but aclInit failed: 100039")


def test_a_compiler_without_operators_for_any_chip_is_a_problem(host: Host) -> None:
    shutil.rmtree(host.at(f"{HOME}/opp/built-in"))
    found = findings(host)["atc"]
    assert found.verdict is Verdict.PROBLEM and "operator package" in found.remedy


def test_a_serving_machine_without_compiler_lacks_nothing(host: Host) -> None:
    host.at(f"{HOME}/bin/atc").unlink()
    assert findings(host)["atc"].verdict is Verdict.NOT_HERE


def test_a_compiler_that_may_not_be_run_is_a_problem(host: Host) -> None:
    host.at(f"{HOME}/bin/atc").chmod(0o644)
    found = findings(host)["atc"]
    assert found.verdict is Verdict.PROBLEM and "may not be run by this user" in found.detail
