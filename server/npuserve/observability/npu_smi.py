"""What the driver's own program, `npu-smi`, tells of the accelerators: power, temperature, health."""

import logging
import math
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, replace

from npuserve.observability.machine import DeviceSample

_log = logging.getLogger(__name__)

_TIMEOUT_S = 5.0
_EVERY_S = 10.0  # the program takes about a second of a CPU, and what it tells changes slowly
_MIB = 1 << 20
_SPACED_SLASH = re.compile(r"\s*/\s*")
_HEALTH = {"OK": True, "Warning": False, "Alarm": False, "Critical": False}

_Row = Mapping[str, str]


def parse_npu_smi(text: str) -> list[DeviceSample]:
    """Read the table of `npu-smi info`, in its order; `device` is the machine's number of each chip.

    Drivers lay the table out in many ways: what is not understood is left out. Two lines tell of a chip, each under
    one of the two lines of the head.
    """
    samples = [sample for row in _rows(text) if (sample := _sample(row)) is not None]
    # NPUs of several chips whose own numbers are not printed cannot be told apart.
    return samples if len({sample.device for sample in samples}) == len(samples) else []


def _rows(text: str) -> Iterator[_Row]:
    """Yield what is under the table's columns, chip by chip."""
    heads: list[list[str]] = []
    upper: dict[str, str] | None = None
    for line in text.splitlines():
        cells = [_SPACED_SLASH.sub("/", cell) for cell in line.strip().strip("|").split("|")]
        if not line.lstrip().startswith("|") or len(cells) < 3:
            continue
        if "Process" in line:  # the next table
            return
        if "Health" in line or len(heads) == 1:
            heads = [cells] if "Health" in line else [*heads, cells]
        elif len(heads) == 2 and upper is None:
            upper = _under(heads[0], cells)
        elif upper is not None:
            yield upper | _under(heads[1], cells)
            upper = None


def _under(head: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    """Return the values by the name of their column, without units; a cell with more or fewer values tells nothing."""
    told: dict[str, str] = {}
    for names, cell in zip(head, cells, strict=False):
        columns, values = names.split(), cell.split()
        if columns and columns[0] == "NPU":  # and its name, which may have spaces
            columns, values = columns[:1], values[:1]
        if len(columns) == len(values):
            told |= {column.partition("(")[0]: value for column, value in zip(columns, values, strict=True)}
    return told


def _sample(row: _Row) -> DeviceSample | None:
    number = next((row[name] for name in ("Phy-ID", "Device", "NPU") if name in row), "")
    if not number.isdecimal():
        return None
    used, total = _usage(row.get("HBM-Usage", ""))
    if not total:
        used, total = _usage(row.get("Memory-Usage", ""))
    percent = _number(row.get("AICore", ""))
    return DeviceSample(
        device=int(number),
        memory_total_bytes=total or None,
        memory_used_bytes=used if total else None,
        utilization=None if percent is None else min(max(percent / 100, 0.0), 1.0),
        power_watts=_number(row.get("Power", "")),
        temperature_celsius=_number(row.get("Temp", "")),
        is_healthy=_HEALTH.get(row.get("Health", "").strip()),
    )


def _number(text: str) -> float | None:
    with suppress(ValueError):
        value = float(text)
        return value if math.isfinite(value) else None
    return None


def _usage(text: str) -> tuple[int, int]:
    """Read `used/total` in MiB as bytes; 0 of 0 if it is something else."""
    used, total = (_number(part) for part in (text.partition("/")[0], text.partition("/")[2]))
    return (0, 0) if used is None or total is None else (int(used * _MIB), int(total * _MIB))


def filled(sample: DeviceSample, told: DeviceSample) -> DeviceSample:
    """Return the sample with what it leaves open filled from another one."""
    absent = [field.name for field in fields(DeviceSample) if getattr(sample, field.name) is None]
    return replace(sample, **{name: getattr(told, name) for name in absent})


class NpuSmi:
    """Runs the program, at most every so often. Close it.

    program: its path; None if there is none, and then nothing is told.
    timeout_s: after which a run is given up. every_s: for how long an answer stands.
    """

    def __init__(
        self,
        program: str | None,
        *,
        timeout_s: float = _TIMEOUT_S,
        every_s: float = _EVERY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._program = program
        self._timeout_s = timeout_s
        self._every_s = every_s
        self._clock = clock
        self._answer: list[DeviceSample] = []
        self._stale_at = -math.inf
        self._lock = threading.Lock()
        self._closed = False  # guarded by the lock
        self._process: subprocess.Popen[bytes] | None = None  # guarded by the lock: the one that runs, or hangs

    def read(self) -> Sequence[DeviceSample]:
        """Return what is told of every accelerator, with the machine's numbers of them. One thread at a time; blocks.

        Empty if the program cannot be run, fails, or does not end in time.
        """
        if self._program is not None and self._clock() >= self._stale_at:
            self._answer = self._ask(self._program)
            self._stale_at = self._clock() + self._every_s
        return self._answer

    def close(self) -> None:
        """End a run, so that `read` returns. Any thread. Idempotent."""
        with self._lock:
            self._closed = True
            if self._process is not None:
                _kill(self._process)

    def _ask(self, program: str) -> list[DeviceSample]:
        try:
            process = self._started(program)
        except OSError as error:
            _log.warning("npu-smi cannot be run: %s", error)
            return []
        if process is None:
            return []
        try:
            output, _ = process.communicate(timeout=self._timeout_s)
        except subprocess.TimeoutExpired:
            _log.warning("npu-smi did not answer within %g s", self._timeout_s)
            self._give_up(process)
            return []
        with self._lock:
            self._process = None
        if process.returncode:
            _log.debug("npu-smi ended with code %d", process.returncode)
            return []
        return parse_npu_smi(output.decode(errors="replace"))

    def _started(self, program: str) -> "subprocess.Popen[bytes] | None":
        """Start a run, unless the last one still hangs. Raises OSError."""
        with self._lock:
            if self._closed or (self._process is not None and self._process.poll() is None):
                return None
            self._process = subprocess.Popen(
                [program, "info"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            return self._process

    def _give_up(self, process: "subprocess.Popen[bytes]") -> None:
        """Kill a run. One that is stuck in the driver lives on: it is looked at again before the next run."""
        with self._lock:
            _kill(process)
        if process.stdout is not None:
            process.stdout.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=1)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill the process and what it started: they share a session of their own."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
