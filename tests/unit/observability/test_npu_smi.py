"""What is read of npu-smi's table, and what becomes of a program that fails, hangs or prints something else."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from npuserve.observability.machine import DeviceSample
from npuserve.observability.npu_smi import NpuSmi, filled, parse_npu_smi

MIB = 1 << 20

A2 = """\
+------------------------------------------------------------------------------------------------+
| npu-smi 23.0.rc2                 Version: 23.0.rc2                                             |
+---------------------------+---------------+----------------------------------------------------+
| NPU   Name                | Health        | Power(W)    Temp(C)           Hugepages-Usage(page)|
| Chip                      | Bus-Id        | AICore(%)   Memory-Usage(MB)  HBM-Usage(MB)        |
+===========================+===============+====================================================+
| 0     910B3               | OK            | 91.7        38                0    / 0             |
| 0                         | 0000:C1:00.0  | 25          0    / 0          3339 / 65536         |
+===========================+===============+====================================================+
| 5     910B3               | Alarm         | 87.1        NA                0    / 0             |
| 0                         | 0000:01:00.0  | 0           0    / 0          65536/ 65536         |
+===========================+===============+====================================================+
+---------------------------+---------------+----------------------------------------------------+
| NPU     Chip              | Process id    | Process name             | Process memory(MB)      |
+===========================+===============+====================================================+
| 0       0                 | 1234          | python                   | 3000                    |
+===========================+===============+====================================================+
"""
INFERENCE_CARD = """\
+--------------------------------------------------------------------------------------------------------+
| NPU     Name              | Health          | Power(W)     Temp(C)           Hugepages-Usage(page)     |
| Chip    Device            | Bus-Id          | AICore(%)    Memory-Usage(MB)                            |
+===========================+=================+==========================================================+
| 8       310P3             | OK              | NA           49                0     / 0                 |
| 0       0                 | 0000:81:00.0    | 0            1691 / 21534                                |
| 8       310P3             | UNKNOWN         | NA           -                 0     / 0                 |
| 1       1                 | 0000:81:00.0    | 100          21534 / 21534                               |
+===========================+=================+==========================================================+
"""


def test_a_table_tells_power_temperature_health_cores_and_memory() -> None:
    assert parse_npu_smi(A2) == [
        DeviceSample(
            device=0,
            memory_total_bytes=65536 * MIB,
            memory_used_bytes=3339 * MIB,
            utilization=0.25,
            power_watts=91.7,
            temperature_celsius=38,
            is_healthy=True,
        ),
        DeviceSample(
            device=5,
            memory_total_bytes=65536 * MIB,
            memory_used_bytes=65536 * MIB,
            utilization=0.0,
            power_watts=87.1,
            is_healthy=False,
        ),
    ]


def test_the_chips_of_one_npu_have_numbers_and_memory_of_their_own() -> None:
    assert parse_npu_smi(INFERENCE_CARD) == [
        DeviceSample(
            device=0,
            memory_total_bytes=21534 * MIB,
            memory_used_bytes=1691 * MIB,
            utilization=0.0,
            temperature_celsius=49,
            is_healthy=True,
        ),
        DeviceSample(
            device=1, memory_total_bytes=21534 * MIB, memory_used_bytes=21534 * MIB, utilization=1.0, is_healthy=None
        ),
    ]


def test_chips_that_cannot_be_told_apart_are_not_told_of() -> None:
    assert parse_npu_smi(INFERENCE_CARD.replace("Chip    Device", "Chip          ")) == []


@pytest.mark.parametrize(
    ("old", "new", "lost"),
    [
        ("Power(W)    Temp(C)", "Power(W)    Hotspot Temp(C)", ("power_watts", "temperature_celsius")),
        ("AICore(%)   ", "AICore(%) X ", ("utilization", "memory_total_bytes", "memory_used_bytes")),
        ("AICore(%)", "Cores(%) ", ("utilization",)),
        ("91.7", "nan ", ("power_watts",)),
    ],
    ids=["a further column above", "a further column below", "another name", "no number"],
)
def test_what_is_laid_out_in_another_way_is_left_out_and_the_rest_is_told(
    old: str, new: str, lost: tuple[str, ...]
) -> None:
    (usual, *_), (sample, *_) = parse_npu_smi(A2), parse_npu_smi(A2.replace(old, new))
    assert {name for name in DeviceSample.__slots__ if getattr(sample, name) != getattr(usual, name)} == set(lost)
    assert all(getattr(sample, name) is None for name in lost)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n|||\n| | | |\n",
        "dcmi model initialized failed, because the device is used. ret is -8020",
        A2[:600],
        "|Health|x|y|",
    ],
    ids=["nothing", "bars", "an error", "cut off", "a head alone"],
)
def test_a_text_without_a_table_tells_nothing(text: str) -> None:
    assert parse_npu_smi(text) == []


def test_cut_anywhere_a_table_is_read_without_error_and_nothing_is_invented() -> None:
    whole = {sample.device for sample in parse_npu_smi(A2)}
    for end in range(len(A2)):
        assert {sample.device for sample in parse_npu_smi(A2[:end])} <= whole


def test_a_sample_is_filled_where_it_is_open_and_keeps_its_own() -> None:
    sample = DeviceSample(device=0, memory_total_bytes=1, memory_used_bytes=0, is_healthy=False)
    told = DeviceSample(device=7, memory_total_bytes=2, power_watts=3.5, is_healthy=True)
    assert filled(sample, told) == DeviceSample(
        device=0, memory_total_bytes=1, memory_used_bytes=0, power_watts=3.5, is_healthy=False
    )


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Makes a stand-in for the program, from a shell script; `told` beside it counts the runs."""

    def make(script: str) -> str:
        path = tmp_path / "npu-smi"
        path.write_text(f"#!/bin/sh\necho run >> {tmp_path}/told\n{script}\n")
        path.chmod(0o755)
        return str(path)

    (tmp_path / "table").write_text(A2)
    yield make


def runs(program: str) -> int:
    told = Path(program).with_name("told")
    return len(told.read_text().splitlines()) if told.exists() else 0


def table(tmp_path: Path) -> str:
    return f'[ "$1" = info ] && cat {tmp_path}/table'


def test_the_program_is_asked_at_most_every_so_often(program: Callable[[str], str], tmp_path: Path) -> None:
    now = 100.0
    path = program(table(tmp_path))
    smi = NpuSmi(path, every_s=10, clock=lambda: now)
    assert smi.read() == smi.read() == parse_npu_smi(A2)
    now += 9.9
    assert smi.read()
    assert runs(path) == 1
    now += 0.1
    assert smi.read()
    assert runs(path) == 2


@pytest.mark.parametrize("script", ["exit 1", "cat {table}; exit 2", "echo '\\377\\376 nothing known'"])
def test_a_program_that_fails_or_prints_something_else_tells_nothing(
    script: str, program: Callable[[str], str], tmp_path: Path
) -> None:
    assert not NpuSmi(program(script.format(table=tmp_path / "table"))).read()


def test_without_a_program_or_with_one_that_cannot_be_run_nothing_is_told(tmp_path: Path) -> None:
    assert not NpuSmi(None).read()
    (tmp_path / "npu-smi").write_text("")
    assert not NpuSmi(str(tmp_path / "npu-smi")).read()


def test_a_program_that_hangs_is_given_up(program: Callable[[str], str], caplog: pytest.LogCaptureFixture) -> None:
    # What it started holds its output open.
    smi = NpuSmi(program("sleep 1000 & sleep 1000"), timeout_s=0.05)
    assert not smi.read()
    assert "npu-smi did not answer within 0.05 s" in caplog.text
    smi.close()


def test_closing_ends_a_run_at_once_and_no_other_starts(program: Callable[[str], str], tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    path = program(f"echo started > {fifo}; sleep 1000")
    smi = NpuSmi(path, timeout_s=1000, every_s=0)
    answers: list[object] = []
    reader = threading.Thread(target=lambda: answers.append(smi.read()))
    reader.start()
    assert fifo.read_text() == "started\n"
    smi.close()
    smi.close()
    reader.join(60)
    assert answers == [[]]
    assert not smi.read()
    assert runs(path) == 1
