"""Python packages: those that npuserve needs, and those of its extras."""

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError

from npuserve.migrate.doctor.finding import Finding, Group, not_here, ok, problem
from npuserve.migrate.doctor.machine import Machine

_REQUIREMENT = re.compile(r"^([\w.-]+)(?:\[[^]]*\])?\s*\(?([^;)]*)\)?\s*(?:;\s*(.*))?$")
_EXTRA = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")
_RANGE = re.compile(r"(==|>=|<=|!=|<|>|~=)\s*([\w.*]+)")
_DEVELOPMENT = ("dev",)
_INSTALL = "pip install npuserve"


def packages_group(machine: Machine) -> Group:
    """Check the installed packages against the ranges that npuserve states. An extra that is not there is none."""
    if not machine.requirements:
        unknown = not_here("required", "npuserve is not installed as a package, so its ranges are not known", _INSTALL)
        return Group("Python packages", (unknown,))
    by_extra: dict[str, list[tuple[str, str]]] = {}
    for requirement in machine.requirements:
        if match := _REQUIREMENT.match(requirement.strip()):
            extra = _EXTRA.search(match[3] or "")
            by_extra.setdefault(extra[1] if extra else "", []).append((match[1], match[2].strip()))
    groups = ((extra, wanted) for extra, wanted in by_extra.items() if extra not in _DEVELOPMENT)
    return Group("Python packages", tuple(_extra(machine, extra, wanted) for extra, wanted in groups))


def _extra(machine: Machine, extra: str, wanted: list[tuple[str, str]]) -> Finding:
    name = f"extra '{extra}'" if extra else "required"
    install = f"pip install 'npuserve[{extra}]'" if extra else _INSTALL
    there: list[str] = []
    missing: list[str] = []
    wrong: list[str] = []
    for package, range_ in wanted:
        try:
            found = machine.installed(package)
        except PackageNotFoundError:
            missing.append(package)
            continue
        (there if _is_within(found, range_) else wrong).append(f"{package} {found}")
    if wrong:
        ranges = {package: range_ for package, range_ in wanted}
        needed = ", ".join(f"{each.split()[0]} must be {ranges[each.split()[0]]}" for each in wrong)
        return problem(name, f"{', '.join(wrong)}: {needed}", install)
    if not missing:
        return ok(name, ", ".join(there))
    if not extra:
        return problem(name, f"not installed: {', '.join(missing)}", install)
    return not_here(name, f"not installed: {', '.join(missing)}", install)


def _is_within(version: str, range_: str) -> bool:
    return all(_holds(version, operator, bound) for operator, bound in _RANGE.findall(range_))


def _holds(version: str, operator: str, bound: str) -> bool:
    is_prefix = bound.endswith(".*")
    left, right = _numbers(version), _numbers(bound.removesuffix(".*"))
    if is_prefix:
        left = left[: len(right)]
    width = max(len(left), len(right))
    left, right = (tuple([*part, *[0] * (width - len(part))]) for part in (left, right))
    match operator:
        case "==":
            return left == right
        case "!=":
            return left != right
        case ">=":
            return left >= right
        case "<=":
            return left <= right
        case "<":
            return left < right
        case ">":
            return left > right
        case _:
            # Compatible: not below, and equal up to the last number but one.
            stem = len(_numbers(bound)) - 1
            return left >= right and left[:stem] == right[:stem]


def _numbers(version: str) -> tuple[int, ...]:
    """Return a release's numbers; what follows them, as `rc1` or `+cpu`, does not count."""
    return tuple(_leading(version))


def _leading(version: str) -> Iterator[int]:
    for part in version.split("+")[0].split("."):
        digits = re.match(r"\d+", part)
        if digits is None:
            return
        yield int(digits[0])
        if digits[0] != part:
            return
