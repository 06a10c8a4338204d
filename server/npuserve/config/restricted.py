"""Which groups of calls need a key, by Triton's flags `--grpc-restricted-protocol` and `--http-restricted-api`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

GROUPS = (
    "health",
    "metadata",
    "inference",
    "shared-memory",
    "model-config",
    "model-repository",
    "statistics",
    "trace",
    "logging",
)


@dataclass(frozen=True, slots=True)
class Key:
    """The header that a restricted call must carry, without the protocol's prefix, and its value."""

    header: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Restrictions:
    """The key of each group that has one, by group."""

    keys: Mapping[str, Key] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.keys)


def parse_restrictions(flag: str, texts: Sequence[str], *, noun: str) -> Restrictions:
    """Read the values of a repeated flag, each `GROUP[,GROUP...]:HEADER=VALUE`.

    noun: what messages call a group, `protocol` or `api`. Raises ValueError.
    """
    keys: dict[str, Key] = {}
    for text in texts:
        groups, colon, pair = text.partition(":")
        header, equals, value = pair.partition("=")
        if not (groups and colon and header and equals):
            raise ValueError(f"{flag} must be of the form GROUP[,GROUP...]:KEY=VALUE, got '{text}'")
        for group in groups.split(","):
            if group not in GROUPS:
                raise ValueError(f"{flag}: unknown restricted {noun} '{group}', expected one of {', '.join(GROUPS)}")
            if group in keys:
                raise ValueError(f"{flag}: {noun} '{group}' can not be specified in multiple config groups")
            keys[group] = Key(header.strip().lower(), value.strip())
    return Restrictions(keys=keys)
