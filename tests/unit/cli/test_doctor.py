"""`npuserve doctor`: what is printed, as text and JSON, and the exit code."""

import json
import os
from pathlib import Path

import pytest
from npuserve.cli.doctor import machine_at, report
from npuserve.cli.main import main
from npuserve.migrate.doctor.finding import Group, ok, problem
from support.ascend_hosts import HOME, Host
from support.emulator import LIBRARY


@pytest.fixture(autouse=True)
def no_cann(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ASCEND_HOME_PATH", raising=False)
    monkeypatch.delenv("NPUSERVE_ACL_LIBRARY", raising=False)


def verdicts(text: str) -> dict[str, str]:
    return {f"{check['group']}: {check['name']}": check["verdict"] for check in json.loads(text)["checks"]}


def test_a_machine_for_the_emulator_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = Host(tmp_path, npu=False, cann=False).root
    assert main(["doctor", "--json", "--root", str(root)]) == 0
    told = verdicts(capsys.readouterr().out)
    assert told["NPU: NPU"] == told["CANN: CANN"] == "NOT HERE"
    assert told["Emulator: library"] == told["Python packages: required"] == "OK"


def test_a_problem_gives_exit_code_1_and_its_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    host = Host(tmp_path, library=LIBRARY)
    host.at("/dev/hisi_hdc").unlink()
    monkeypatch.setenv("ASCEND_HOME_PATH", HOME)
    assert main(["doctor", "--root", str(tmp_path)]) == 1
    told = capsys.readouterr().out
    assert "there is no /dev/hisi_hdc\n" in told
    assert "-> the driver is not running: reboot, or install it again\n" in told
    assert told.endswith("\n1 problem\n")
    assert main(["doctor", "--json", "--root", str(tmp_path)]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["problems"] == 1
    assert [check["name"] for check in found["checks"] if check["verdict"] == "PROBLEM"] == ["hisi_hdc"]


def test_the_library_is_the_one_that_the_server_would_load(tmp_path: Path) -> None:
    machine = machine_at(tmp_path, {"ASCEND_HOME_PATH": HOME})
    assert machine.libraries[0] == (str(tmp_path / "usr/local/Ascend/cann/lib64/libascendcl.so"),)
    named = machine_at(Path("/"), os.environ, "/opt/acl.so")
    assert named.libraries == (("/opt/acl.so",),)


def test_findings_stand_in_columns_below_their_group() -> None:
    groups = [Group("One", (ok("a", "fine"), problem("long", "broken", "mend it")))]
    assert report(groups).splitlines() == [
        "One",
        "  OK        a     fine",
        "  PROBLEM   long  broken",
        "                  -> mend it",
        "",
        "1 problem",
    ]
