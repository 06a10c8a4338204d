"""The metrics of the machine: the host, this process, the accelerators."""

import os
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from npuserve.observability.exposition import Family, Sample

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSample:
    """The host: what share of its CPUs was busy since the last sample (0 to 1), and its memory in bytes."""

    cpu_utilization: float
    memory_total_bytes: int
    memory_used_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSample:
    """One accelerator; None is what its driver does not tell.

    Memory in bytes, utilization from 0 to 1, power in watts, temperature in degrees Celsius.
    """

    device: int
    memory_total_bytes: int | None = None
    memory_used_bytes: int | None = None
    utilization: float | None = None
    power_watts: float | None = None
    power_limit_watts: float | None = None
    temperature_celsius: float | None = None
    is_healthy: bool | None = None


class HostReader:
    """Reads the host's counters.

    proc: where the kernel tells them.
    """

    def __init__(self, proc: Path = _PROC) -> None:
        self._proc = proc
        self._busy, self._total = self._cpu_times()

    def read(self) -> HostSample:
        """Return the host since the last call. Reads two files of the kernel's memory. Raises OSError."""
        busy, total = self._cpu_times()
        elapsed = total - self._total
        utilization = (busy - self._busy) / elapsed if elapsed > 0 else 0.0
        self._busy, self._total = busy, total
        memory = self._memory_kib()
        return HostSample(
            cpu_utilization=min(max(utilization, 0.0), 1.0),
            memory_total_bytes=memory["MemTotal"] * 1024,
            memory_used_bytes=(memory["MemTotal"] - memory["MemAvailable"]) * 1024,
        )

    def _cpu_times(self) -> tuple[int, int]:
        """Return the busy and all ticks of the first line of /proc/stat: user nice system idle iowait ..."""
        line = (self._proc / "stat").read_text().partition("\n")[0]
        ticks = [int(field) for field in line.split()[1:9]]
        return sum(ticks) - ticks[3] - ticks[4], sum(ticks)

    def _memory_kib(self) -> dict[str, int]:
        lines = (self._proc / "meminfo").read_text().splitlines()
        return {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}


def host_families(host: HostSample | None) -> list[Family]:
    """Return the host's gauges; none if it was not read."""
    if host is None:
        return []
    return [
        _gauge("nv_cpu_utilization", "CPU utilization rate [0.0 - 1.0]", host.cpu_utilization),
        _gauge("nv_cpu_memory_total_bytes", "CPU total memory (RAM), in bytes", host.memory_total_bytes),
        _gauge("nv_cpu_memory_used_bytes", "CPU used memory (RAM), in bytes", host.memory_used_bytes),
    ]


def pinned_families(*, total_bytes: int, used_bytes: int) -> list[Family]:
    """Return the gauges of the host memory that devices copy from."""
    return [
        _gauge("nv_pinned_memory_pool_total_bytes", "Pinned memory pool total memory size, in bytes", total_bytes),
        _gauge("nv_pinned_memory_pool_used_bytes", "Pinned memory pool used memory size, in bytes", used_bytes),
    ]


def process_families(proc: Path = _PROC) -> list[Family]:
    """Return this process' gauges, under the names that Prometheus' clients give them. Raises OSError."""
    fields = (proc / "self" / "stat").read_text().rpartition(")")[2].split()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    boot = time.time() - float((proc / "uptime").read_text().split()[0])
    return [
        Family(
            name="process_cpu_seconds_total",
            kind="counter",
            help="Total user and system CPU time spent in seconds.",
            samples=[Sample({}, usage.ru_utime + usage.ru_stime)],
        ),
        _gauge(
            "process_resident_memory_bytes",
            "Resident memory size in bytes.",
            int(fields[21]) * os.sysconf("SC_PAGE_SIZE"),
        ),
        _gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", int(fields[20])),
        _gauge("process_threads", "Number of threads.", int(fields[17])),
        _gauge(
            "process_open_fds", "Number of open file descriptors.", sum(1 for _ in (proc / "self" / "fd").iterdir())
        ),
        _gauge(
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            boot + int(fields[19]) / os.sysconf("SC_CLK_TCK"),
        ),
    ]


def device_families(devices: Sequence[DeviceSample]) -> list[Family]:
    """Return the accelerators' gauges under our names, and under Triton's, whose dashboards know them as GPUs."""
    families: list[Family] = []
    for ours, theirs, text, value in _DEVICE_GAUGES:
        told = [(device, found) for device in devices if (found := value(device)) is not None]
        families += _twins(ours, theirs, text, told)
    return families


_DEVICE_GAUGES: tuple[tuple[str, str, str, Callable[[DeviceSample], float | None]], ...] = (
    ("npu_utilization", "nv_gpu_utilization", "utilization rate [0.0 - 1.0]", lambda device: device.utilization),
    (
        "npu_memory_total_bytes",
        "nv_gpu_memory_total_bytes",
        "total memory, in bytes",
        lambda device: device.memory_total_bytes,
    ),
    (
        "npu_memory_used_bytes",
        "nv_gpu_memory_used_bytes",
        "used memory, in bytes",
        lambda device: device.memory_used_bytes,
    ),
    ("npu_power_usage", "nv_gpu_power_usage", "power usage in watts", lambda device: device.power_watts),
    (
        "npu_power_limit",
        "nv_gpu_power_limit",
        "power management limit in watts",
        lambda device: device.power_limit_watts,
    ),
    ("npu_temperature_celsius", "", "temperature in degrees Celsius", lambda device: device.temperature_celsius),
    ("npu_health", "", "health: 1 is healthy, 0 is not", lambda device: device.is_healthy),
)


def _twins(ours: str, theirs: str, text: str, values: Sequence[tuple[DeviceSample, float]]) -> list[Family]:
    named = [Sample({"npu_id": str(device.device)}, float(value)) for device, value in values]
    families = [Family(name=ours, kind="gauge", help=f"NPU {text}", samples=named)]
    if theirs:
        uuids = [Sample({"gpu_uuid": f"npu-{device.device}"}, float(value)) for device, value in values]
        families.append(Family(name=theirs, kind="gauge", help=f"GPU {text}", samples=uuids))
    return families


def _gauge(name: str, text: str, value: float) -> Family:
    return Family(name=name, kind="gauge", help=text, samples=[Sample({}, value)])
