"""Version numbers: which are loaded, and which one a request means."""

import re
from collections.abc import Collection

from npuserve._proto.model_config_pb2 import ModelVersionPolicy
from npuserve.core.errors import invalid
from npuserve.repository.scan import MAX_VERSION

_LEADING_INTEGER = re.compile(r"[ \t\n\v\f\r]*([+-]?[0-9]+)")
_MAX_DIGITS = len(str(MAX_VERSION))


def select_versions(policy: ModelVersionPolicy, available: Collection[int]) -> tuple[int, ...]:
    """Return the versions to load, ascending. Without a policy it is the highest."""
    match policy.WhichOneof("policy_choice"):
        case "all":
            chosen = set(available)
        case "specific":
            chosen = set(policy.specific.versions) & set(available)
        case "latest":
            chosen = set(sorted(available, reverse=True)[: policy.latest.num_versions])
        case _:
            chosen = set(sorted(available)[-1:])
    return tuple(sorted(chosen))


def missing_versions(policy: ModelVersionPolicy, available: Collection[int]) -> tuple[int, ...]:
    """Return the versions that a policy names and the repository lacks, ascending."""
    return tuple(sorted(set(policy.specific.versions) - set(available)))


def parse_version(text: str) -> int | None:
    """Read a request's version; None if it names none.

    As Triton reads it, with C's rules: leading blanks and whatever follows the digits are passed over, so `3x` is 3.
    Raises ServeError: INVALID_ARGUMENT.
    """
    if not text:
        return None
    match = _LEADING_INTEGER.match(text)
    # No number of more digits is a version, and Python refuses to read very long ones.
    version = int(match[1]) if match and len(match[1].lstrip("+-").lstrip("0")) <= _MAX_DIGITS else None
    if version is None or not -MAX_VERSION - 1 <= version <= MAX_VERSION:
        raise invalid(
            f"failed to get model version from specified version string '{text}' (details: stol), version should be an "
            "integral value > 0"
        )
    if version < 0:
        raise invalid(f"invalid model version specified '{text}' , version should be an integral value > 0")
    return version
