"""What a check says."""

from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """NOT_HERE: something that this machine does not need, by all that is known of it."""

    OK = "OK"
    PROBLEM = "PROBLEM"
    NOT_HERE = "NOT HERE"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's answer. detail: what was found, or not. remedy: what to do; "" if nothing must be done."""

    name: str
    verdict: Verdict
    detail: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Findings on one subject."""

    title: str
    findings: tuple[Finding, ...]


def ok(name: str, detail: str) -> Finding:
    """Return the finding of a check that is passed."""
    return Finding(name, Verdict.OK, detail)


def problem(name: str, detail: str, remedy: str) -> Finding:
    """Return a finding that makes the command fail."""
    return Finding(name, Verdict.PROBLEM, detail, remedy)


def not_here(name: str, detail: str, remedy: str = "") -> Finding:
    """Return the finding of something that is not needed. remedy: what would bring it."""
    return Finding(name, Verdict.NOT_HERE, detail, remedy)
