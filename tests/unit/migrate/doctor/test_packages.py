"""Packages against the ranges that the package states."""

from pathlib import Path

import pytest
from npuserve.migrate.doctor.finding import Verdict
from support.ascend_hosts import Host

TITLE = "Python packages"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path, npu=False, cann=False)


def test_what_is_installed_is_told_by_extra_without_that_of_developers(host: Host) -> None:
    assert host.finding(TITLE, "required").detail == "numpy 2.1.0"
    assert host.finding(TITLE, "extra 'convert'").detail == "onnx 1.18.0"
    (group,) = [group for group in host.examined() if group.title == TITLE]
    assert [finding.verdict for finding in group.findings] == [Verdict.OK, Verdict.OK]


def test_an_extra_that_is_not_installed_is_no_problem(host: Host) -> None:
    del host.installed["onnx"]
    found = host.finding(TITLE, "extra 'convert'")
    assert (found.verdict, found.remedy) == (Verdict.NOT_HERE, "pip install 'npuserve[convert]'")


def test_a_required_package_that_is_not_installed_is_a_problem(host: Host) -> None:
    del host.installed["numpy"]
    assert host.finding(TITLE, "required").verdict is Verdict.PROBLEM


def test_a_version_out_of_range_is_a_problem_with_the_range(host: Host) -> None:
    host.installed["onnx"] = "2.0.1"
    found = host.finding(TITLE, "extra 'convert'")
    assert (found.verdict, found.detail) == (Verdict.PROBLEM, "onnx 2.0.1: onnx must be <2,>=1.18")


def test_a_checkout_that_is_not_installed_tells_no_ranges(host: Host) -> None:
    host.requirements = []
    assert host.finding(TITLE, "required").verdict is Verdict.NOT_HERE


@pytest.mark.parametrize(
    ("version", "range_", "fits"),
    [
        ("1.26", "<3,>=1.26.0", True),
        ("1.9", ">=1.26", False),
        ("2.13.0+cpu", "==2.13.0", True),
        ("2.13.1", "==2.13.0", False),
        ("3.0.0rc1", "<3", False),
        ("2.5.7", "==2.5.*", True),
        ("2.6", "~=2.5.1", False),
        ("2.5.4", "~=2.5.1", True),
        ("2.5", "!=2.5", False),
        ("7", "", True),
    ],
)
def test_ranges_are_read_as_pip_does(host: Host, version: str, range_: str, fits: bool) -> None:
    host.requirements, host.installed = [f"one[a,b]{range_}"], {"one": version}
    assert host.finding(TITLE, "required").verdict is (Verdict.OK if fits else Verdict.PROBLEM)
