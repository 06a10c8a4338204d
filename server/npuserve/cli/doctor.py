"""`npuserve doctor`: what this machine lacks, and what to do about it."""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from npuserve.cli.acl_library import EMULATOR_DIR, LibraryNotFoundError, acl_candidates
from npuserve.migrate.doctor.examine import as_json, examine, problems
from npuserve.migrate.doctor.finding import Group
from npuserve.migrate.doctor.machine import Machine

_HOMES = ("ASCEND_HOME_PATH", "ASCEND_TOOLKIT_HOME")


def add_doctor_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.add_argument("--acl-library", metavar="FILE", help="AscendCL library, or the folder that it is in")
    # Where the machine's files are; for those of another machine.
    parser.add_argument("--root", type=Path, default=Path("/"), help=argparse.SUPPRESS)


def run(parsed: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Print what was found; return 1 if there is any problem."""
    groups = examine(machine_at(parsed.root, environment, parsed.acl_library))
    print(json.dumps(as_json(groups), indent=1) if parsed.json else report(groups))
    return 1 if problems(groups) else 0


def machine_at(root: Path, environment: Mapping[str, str], acl_library: str | None = None) -> Machine:
    """Return the machine whose files are below a root, with the library that the server would load there."""
    below = dict(environment)
    for name in _HOMES:
        if name in below:
            below[name] = str(root / below[name].lstrip("/"))
    try:
        libraries, reason = acl_candidates(acl_library, "auto", below), ""
    except LibraryNotFoundError as error:
        libraries, reason = (), str(error)
    return Machine(root=root, environment=below, emulator=EMULATOR_DIR, libraries=libraries, reason=reason)


def report(groups: Sequence[Group]) -> str:
    """Return the findings, a heading a group, each remedy below its finding."""
    width = max(len(finding.name) for group in groups for finding in group.findings)
    lines: list[str] = []
    for group in groups:
        lines.append(group.title)
        for finding in group.findings:
            lines.append(f"  {finding.verdict.value:<8}  {finding.name:<{width}}  {finding.detail}")
            if finding.remedy:
                lines.append(f"  {'':<8}  {'':<{width}}  -> {finding.remedy}")
    found = problems(groups)
    summary = "no problem" if not found else f"{found} problem{'s' * (found > 1)}"
    return "\n".join([*lines, "", summary])
