"""All checks, and what they found as JSON."""

from collections.abc import Sequence
from typing import Any

from npuserve.migrate.doctor.cann import cann_group
from npuserve.migrate.doctor.driver import driver_group
from npuserve.migrate.doctor.emulator import emulator_group
from npuserve.migrate.doctor.finding import Group, Verdict
from npuserve.migrate.doctor.machine import Machine
from npuserve.migrate.doctor.packages import packages_group
from npuserve.migrate.doctor.system import system_group

_CHECKS = (driver_group, cann_group, emulator_group, packages_group, system_group)


def examine(machine: Machine) -> list[Group]:
    """Run all checks. Starts processes, one a library; takes seconds where there are devices."""
    return [check(machine) for check in _CHECKS]


def problems(groups: Sequence[Group]) -> int:
    """Return how many checks found a problem."""
    return sum(finding.verdict is Verdict.PROBLEM for group in groups for finding in group.findings)


def as_json(groups: Sequence[Group]) -> dict[str, Any]:
    """Return the findings for automation; `verdict` is `OK`, `PROBLEM` or `NOT HERE`."""
    return {
        "problems": problems(groups),
        "checks": [
            {
                "group": group.title,
                "name": finding.name,
                "verdict": finding.verdict.value,
                "detail": finding.detail,
                "remedy": finding.remedy,
            }
            for group in groups
            for finding in group.findings
        ],
    }
