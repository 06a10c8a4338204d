"""Cores, memory, shared memory, open files, and the emulator."""

from pathlib import Path

import pytest
from npuserve.migrate.doctor.finding import Verdict
from support.ascend_hosts import Host
from support.emulator import LIBRARY


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path, npu=False, cann=False)


def test_what_there_is_is_told(host: Host) -> None:
    assert host.finding("System", "memory").detail == "64.0 GiB, 32.0 GiB of it free"
    assert host.finding("System", "/dev/shm").detail == "1024 MiB"
    assert host.finding("System", "cores").detail == "8"
    assert host.finding("System", "open files").detail == "65536 at most"


def test_a_containers_limit_counts_for_its_memory(host: Host) -> None:
    host.write("/sys/fs/cgroup/memory.max", str(2**30))
    found = host.finding("System", "memory")
    assert (found.verdict, found.detail) == (Verdict.PROBLEM, "1.0 GiB, 1.0 GiB of it free")


def test_too_little_shared_memory_is_a_problem_with_the_flag_that_gives_more(host: Host) -> None:
    host.become_container()
    host.shared_bytes = 2**20
    found = host.finding("System", "/dev/shm")
    assert (found.verdict, found.remedy) == (Verdict.PROBLEM, "start the container with --shm-size=1g")


def test_too_few_open_files_and_cores_are_problems(host: Host) -> None:
    host.cores, host.open_files = 1, 1024
    assert host.finding("System", "cores").verdict is Verdict.PROBLEM
    assert host.finding("System", "open files").remedy.startswith("ulimit -n 65536")


def test_no_limit_of_open_files_is_enough(host: Host) -> None:
    host.open_files = -1
    assert host.finding("System", "open files").detail == "no limit"


def test_the_emulator_is_started(host: Host) -> None:
    host.emulator = LIBRARY.parent
    assert host.finding("Emulator", "library").detail.endswith("1 device, Ascend910B3")
    assert host.finding("Emulator", "atc").verdict is Verdict.OK


def test_an_emulator_that_is_not_there_is_a_problem_only_without_npu(host: Host) -> None:
    assert host.finding("Emulator", "library").verdict is Verdict.PROBLEM
    host.add_npu()
    assert host.finding("Emulator", "library").verdict is Verdict.NOT_HERE
