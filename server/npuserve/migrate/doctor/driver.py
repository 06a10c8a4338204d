"""Driver, firmware, device nodes, and the right to use them."""

import re

from npuserve.migrate.doctor.finding import Finding, Group, not_here, ok, problem
from npuserve.migrate.doctor.machine import Machine

_SHARED_NODES = ("/dev/davinci_manager", "/dev/devmm_svm", "/dev/hisi_hdc")
_GROUP = "HwHiAiUser"
_VERSION = re.compile(r"(?im)^\W*version\W*[=:]\W*([\w.-]+)")
_NO_NPU = "no NPU on this machine: no driver and no /dev/davinci*"


def driver_group(machine: Machine) -> Group:
    """Check what stands between a process and the chips."""
    if not machine.wants_npu:
        return Group("NPU", (not_here("NPU", _NO_NPU, "the emulator serves here; install the driver to use an NPU"),))
    return Group(
        "NPU",
        (
            _driver(machine),
            _firmware(machine),
            _chips(machine),
            *(_node(machine, path) for path in _SHARED_NODES),
            _permissions(machine),
            _smi(machine),
            *_mounts(machine),
        ),
    )


def _driver(machine: Machine) -> Finding:
    path = f"{machine.driver_home}/version.info"
    if found := _VERSION.search(machine.text(path)):
        return ok("driver", f"{found[1]} ({path})")
    if machine.is_container:
        return problem("driver", f"there is no {path}", f"mount it from the host: -v {path}:{path}:ro")
    return problem(
        "driver", f"there is no version in {path}", "install the driver package (Ascend-hdk-*-npu-driver) and reboot"
    )


def _firmware(machine: Machine) -> Finding:
    path = f"{machine.driver_home.removesuffix('/driver')}/firmware/version.info"
    if found := _VERSION.search(machine.text(path)):
        return ok("firmware", f"{found[1]} ({path})")
    if machine.is_container:
        return not_here("firmware", "is the host's; not to be seen from a container")
    return problem(
        "firmware",
        f"there is no version in {path}",
        "install the firmware package (Ascend-hdk-*-npu-firmware) that belongs to the driver, and reboot",
    )


def _chips(machine: Machine) -> Finding:
    names = [path.name for path in machine.devices]
    if names:
        return ok("chips", f"{len(names)}: {', '.join(f'/dev/{name}' for name in names)}")
    if machine.is_container:
        remedy = (
            "start the container with --device=/dev/davinci0, or with ASCEND_VISIBLE_DEVICES=0 and Ascend's runtime"
        )
        return problem("chips", "there is no /dev/davinci* in this container", remedy)
    return problem(
        "chips",
        "there is no /dev/davinci*",
        "see with lspci that the card is there, then with `dmesg` and `npu-smi info` why the driver did not start it",
    )


def _node(machine: Machine, path: str) -> Finding:
    name = path.rpartition("/")[2]
    if machine.at(path).exists():
        return ok(name, path)
    if machine.is_container:
        return problem(name, f"there is no {path} in this container", f"start the container with --device={path}")
    return problem(name, f"there is no {path}", "the driver is not running: reboot, or install it again")


def _permissions(machine: Machine) -> Finding:
    nodes = [*machine.devices, *(node for path in _SHARED_NODES if (node := machine.at(path)).exists())]
    refused = [f"/dev/{node.name}" for node in nodes if not machine.is_usable(node)]
    if not refused:
        return ok("permissions", "this user may read and write all nodes" if nodes else "there is no node to use")
    remedy = "run as a user who may read and write them"
    if _GROUP not in machine.groups:
        add = f"--group-add {_GROUP}'s number" if machine.is_container else f"usermod -aG {_GROUP} USER"
        remedy = f"put this user into the group {_GROUP}, which owns them: {add}"
    return problem("permissions", f"this user may not read and write {', '.join(refused)}", remedy)


def _smi(machine: Machine) -> Finding:
    places = ("/usr/local/bin/npu-smi", "/usr/local/sbin/npu-smi", "/usr/bin/npu-smi", "/usr/sbin/npu-smi")
    for path in places:
        if machine.at(path).exists():
            return ok("npu-smi", path)
    detail = "is not there: no power, temperature and health in the metrics"
    return not_here("npu-smi", detail, f"mount it from the host: -v {places[0]}:{places[0]}:ro")


def _mounts(machine: Machine) -> list[Finding]:
    """Check what a container needs of the host's driver."""
    if not machine.is_container:
        return []
    home = machine.driver_home
    needed = (f"{home}/lib64", f"{home}/lib64/driver", f"{home}/lib64/common", "/usr/local/dcmi")
    missing = [path for path in needed if not machine.at(path).is_dir()]
    # A mount of the folder brings those within it.
    missing = [path for path in missing if path.rpartition("/")[0] not in missing]
    if not machine.text("/etc/ascend_install.info"):
        missing.append("/etc/ascend_install.info")
    if not missing:
        return [ok("container mounts", "the driver's libraries are here")]
    flags = " ".join(f"-v {path}:{path}:ro" for path in missing)
    return [problem("container mounts", f"of the host's driver there is no {', '.join(missing)}", f"mount: {flags}")]
