"""The machine itself: cores, memory, shared memory, open files."""

import platform
import re

from npuserve.migrate.doctor.finding import Finding, Group, ok, problem
from npuserve.migrate.doctor.machine import Machine

_MIB = 2**20
_GIB = 2**30
_LEAST_MEMORY = 4 * _GIB
_LEAST_SHARED = 64 * _MIB
_LEAST_FILES = 4096
_MACHINES = ("x86_64", "aarch64")


def system_group(machine: Machine) -> Group:
    """Check what a server needs of any machine."""
    return Group(
        "System",
        (
            _processor(),
            _cores(machine),
            _memory(machine),
            _shared_memory(machine),
            _open_files(machine),
        ),
    )


def _processor() -> Finding:
    kind = platform.machine()
    detail = f"{kind}, {platform.system()} {platform.release()}, Python {platform.python_version()}"
    if kind in _MACHINES:
        return ok("processor", detail)
    return problem("processor", detail, f"there is CANN for {' and '.join(_MACHINES)} only")


def _cores(machine: Machine) -> Finding:
    if machine.cores > 1:
        return ok("cores", str(machine.cores))
    return problem("cores", "1 may be used", "give the process 2 or more: one for the wire, one for the devices")


def _memory(machine: Machine) -> Finding:
    text = machine.text("/proc/meminfo")
    amounts = {name: int(kib) * 1024 for name, kib in re.findall(r"(?m)^(MemTotal|MemAvailable):\s+(\d+) kB", text)}
    total, limit = amounts.get("MemTotal", 0), machine.text("/sys/fs/cgroup/memory.max").strip()
    if limit.isdigit():
        total = min(total or int(limit), int(limit))
    if not total:
        return problem("memory", "/proc/meminfo does not tell it", "mount /proc")
    detail = f"{total / _GIB:.1f} GiB, {min(amounts.get('MemAvailable', total), total) / _GIB:.1f} GiB of it free"
    if total < _LEAST_MEMORY:
        return problem("memory", detail, f"{_LEAST_MEMORY // _GIB} GiB or more: models pass through it to the device")
    return ok("memory", detail)


def _shared_memory(machine: Machine) -> Finding:
    try:
        size = machine.size_of(machine.at("/dev/shm"))
    except OSError:
        remedy = "mount a tmpfs there: Python models and clients' shared memory live in it"
        return problem("/dev/shm", "is not there", remedy)
    if size < _LEAST_SHARED:
        remedy = "start the container with --shm-size=1g" if machine.is_container else "mount it with a larger size="
        return problem("/dev/shm", f"{size / _MIB:.0f} MiB", remedy)
    return ok("/dev/shm", f"{size / _MIB:.0f} MiB")


def _open_files(machine: Machine) -> Finding:
    # -1 stands for no limit.
    if machine.open_files < 0:
        return ok("open files", "no limit")
    if machine.open_files < _LEAST_FILES:
        remedy = f"ulimit -n {16 * _LEAST_FILES}: each connection takes one"
        return problem("open files", f"{machine.open_files} at most", remedy)
    return ok("open files", f"{machine.open_files} at most")
