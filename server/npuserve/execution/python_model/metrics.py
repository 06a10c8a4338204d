"""Metrics that models make themselves, for the metrics endpoint."""

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

Labels = tuple[tuple[str, str], ...]

_MEMORY = "npuserve_python_worker_memory_bytes"
_MEMORY_TEXT = "Resident memory of the process of a Python model's instance, in bytes"


@dataclass(slots=True)
class CustomFamily:
    """Metrics of one name. kind: `counter` or `gauge`. values: by their labels, sorted by name."""

    name: str
    description: str
    kind: str
    values: dict[Labels, float] = field(default_factory=dict)


class CustomMetrics:
    """The families of all Python models. Used on the event loop only."""

    def __init__(self) -> None:
        self._families: dict[str, CustomFamily] = {}
        self._processes: dict[Labels, Callable[[], int]] = {}

    def families(self) -> list[CustomFamily]:
        """Return the families, by name, and behind them what the models' processes take of the memory."""
        return [*(self._families[name] for name in sorted(self._families)), *self._memory()]

    def watch_process(self, labels: Labels, pid: Callable[[], int]) -> None:
        """Tell of the memory of a process from now on; its id may change."""
        self._processes[labels] = pid

    def forget_process(self, labels: Labels, pid: Callable[[], int]) -> None:
        """Tell of it no longer; another one that took its place since, as after a reload, stays. Idempotent."""
        if self._processes.get(labels) == pid:
            del self._processes[labels]

    def _memory(self) -> list[CustomFamily]:
        values: dict[Labels, float] = {}
        for labels, pid in self._processes.items():
            # One that is being started again has none.
            with contextlib.suppress(OSError):
                values[labels] = _resident_bytes(pid())
        return [CustomFamily(_MEMORY, _MEMORY_TEXT, "gauge", values)] if values else []

    def declare(self, name: str, description: str, kind: str) -> None:
        """Add a family; one of the name that is there stays as it is."""
        self._families.setdefault(name, CustomFamily(name, description, kind))

    def change(self, name: str, operation: str, labels: dict[str, str], value: float) -> None:
        """Add to a metric (`increment`) or set it (`set`); a family that is not declared is ignored."""
        family = self._families.get(name)
        if family is None:
            return
        key = tuple(sorted(labels.items()))
        family.values[key] = value if operation == "set" else family.values.get(key, 0.0) + value


def _resident_bytes(pid: int) -> int:
    """Return what a process has in memory (the second field of /proc/pid/statm, in pages). Raises OSError."""
    pages = int((Path("/proc") / str(pid) / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
