"""Driver, device nodes, permissions and mounts, on hosts and in containers."""

import shutil
from pathlib import Path

import pytest
from npuserve.migrate.doctor.driver import driver_group
from npuserve.migrate.doctor.finding import Finding, Verdict
from support.ascend_hosts import DRIVER, NODES, Host


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def findings(host: Host) -> dict[str, Finding]:
    return {finding.name: finding for finding in driver_group(host.machine).findings}


def test_a_whole_host_has_no_problem_and_its_versions_are_told(host: Host) -> None:
    found = findings(host)
    assert {finding.verdict for finding in found.values()} == {Verdict.OK}
    assert found["driver"].detail == f"25.2.0 ({DRIVER}/version.info)"
    assert found["firmware"].detail == "7.7.0.6.236 (/usr/local/Ascend/firmware/version.info)"
    assert found["chips"].detail == "2: /dev/davinci0, /dev/davinci1"
    assert "container mounts" not in found


def test_a_machine_without_any_sign_of_an_npu_lacks_nothing(tmp_path: Path) -> None:
    (finding,) = findings(Host(tmp_path, npu=False)).values()
    assert (finding.verdict, finding.name) == (Verdict.NOT_HERE, "NPU")


@pytest.mark.parametrize("node", ["davinci_manager", "devmm_svm", "hisi_hdc"])
def test_a_node_that_is_not_there_is_named_with_the_flag_that_brings_it(host: Host, node: str) -> None:
    host.at(f"/dev/{node}").unlink()
    assert findings(host)[node].remedy == "the driver is not running: reboot, or install it again"
    host.become_container()
    found = findings(host)[node]
    assert (found.verdict, found.remedy) == (Verdict.PROBLEM, f"start the container with --device=/dev/{node}")


def test_a_driver_without_chips_is_a_problem(host: Host) -> None:
    for node in ("davinci0", "davinci1"):
        host.at(f"/dev/{node}").unlink()
    assert findings(host)["chips"].verdict is Verdict.PROBLEM


def test_chips_are_in_the_order_of_their_numbers(host: Host) -> None:
    host.write("/dev/davinci10", "")
    assert findings(host)["chips"].detail == "3: /dev/davinci0, /dev/davinci1, /dev/davinci10"


def test_a_host_without_firmware_is_told_which_package_to_install(host: Host) -> None:
    host.at("/usr/local/Ascend/firmware/version.info").unlink()
    found = findings(host)["firmware"]
    assert found.verdict is Verdict.PROBLEM and "npu-firmware" in found.remedy


def test_firmware_is_not_looked_for_in_a_container(host: Host) -> None:
    host.become_container()
    shutil.rmtree(host.at("/usr/local/Ascend/firmware"))
    assert findings(host)["firmware"].verdict is Verdict.NOT_HERE


def test_a_driver_elsewhere_is_found_by_what_its_installation_noted(host: Host) -> None:
    shutil.move(host.at(DRIVER), host.at("/opt/ascend/driver"))
    host.write("/etc/ascend_install.info", "UserName=x\nDriver_Install_Path_Param=/opt/ascend\n")
    assert findings(host)["driver"].detail == "25.2.0 (/opt/ascend/driver/version.info)"


def test_nodes_that_this_user_may_not_use_are_named_with_the_group_that_may(host: Host) -> None:
    host.refused, host.groups = {"davinci1", "devmm_svm"}, frozenset({"users"})
    found = findings(host)["permissions"]
    assert found.detail == "this user may not read and write /dev/davinci1, /dev/devmm_svm"
    assert found.remedy.endswith("HwHiAiUser, which owns them: usermod -aG HwHiAiUser USER")


def test_a_user_of_the_group_is_not_told_to_join_it(host: Host) -> None:
    host.refused = set(NODES)
    assert "group" not in findings(host)["permissions"].remedy


def test_a_container_with_nodes_alone_is_told_every_mount_it_lacks(tmp_path: Path) -> None:
    host = Host(tmp_path, npu=False)
    host.become_container()
    for node in NODES:
        host.write(f"/dev/{node}", "")
    found = findings(host)
    assert found["driver"].remedy == f"mount it from the host: -v {DRIVER}/version.info:{DRIVER}/version.info:ro"
    assert found["container mounts"].remedy == (
        f"mount: -v {DRIVER}/lib64:{DRIVER}/lib64:ro -v /usr/local/dcmi:/usr/local/dcmi:ro "
        "-v /etc/ascend_install.info:/etc/ascend_install.info:ro"
    )
    assert found["npu-smi"].verdict is Verdict.NOT_HERE


def test_a_container_with_all_mounts_has_no_problem(host: Host) -> None:
    host.become_container()
    for folder in (f"{DRIVER}/lib64/driver", f"{DRIVER}/lib64/common", "/usr/local/dcmi"):
        host.at(folder).mkdir(parents=True)
    assert {finding.verdict for finding in findings(host).values()} == {Verdict.OK}


@pytest.mark.parametrize(
    ("path", "text"), [("/proc/1/cgroup", "0::/kubepods/pod1\n"), ("/run/.containerenv", ""), ("/.dockerenv", "")]
)
def test_containers_are_known_by_their_marks(host: Host, path: str, text: str) -> None:
    assert not host.machine.is_container
    host.write(path, text)
    assert host.machine.is_container
