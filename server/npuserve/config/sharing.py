"""How models share the host and the devices: the flags that say where threads run, and how many resources there are."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

RATE_LIMITS = ("off", "execution_count")
_MOST_RESOURCES = 2**31 - 1
_MOST_CORES = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPolicy:
    """Where threads run, and from which NUMA node their memory comes; empty or None: where the kernel will."""

    cores: tuple[int, ...] = ()
    numa_node: int | None = None


@dataclass(frozen=True, slots=True)
class ResourcePool:
    """How many there are of a resource; device None: on every one."""

    name: str
    count: int
    device: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SharingOptions:
    """host_policies: by name. limits_rate: whether executions wait for resources. pools: empty: as large as needed."""

    host_policies: Mapping[str, HostPolicy] = field(default_factory=dict)
    limits_rate: bool = False
    pools: tuple[ResourcePool, ...] = ()


def sharing_options(*, host_policies: Iterable[str], rate_limit: str, resources: Iterable[str]) -> SharingOptions:
    """Read the values of `--host-policy`, `--rate-limit` and `--rate-limit-resource`. Raises ValueError."""
    if rate_limit not in RATE_LIMITS:
        raise ValueError(f"--rate-limit must be one of {', '.join(RATE_LIMITS)}, got '{rate_limit}'")
    return SharingOptions(
        host_policies=_host_policies(host_policies),
        limits_rate=rate_limit != "off",
        pools=tuple(_pool(text) for text in resources),
    )


def _host_policies(texts: Iterable[str]) -> dict[str, HostPolicy]:
    settings: dict[str, dict[str, str]] = {}
    for text in texts:
        name, _, setting = text.partition(",")
        key, _, value = setting.partition("=")
        if not (name and key and value):
            raise ValueError(f"--host-policy option format is '<policy name>,<setting>=<value>'. Got {text}")
        if key not in ("numa-node", "cpu-cores"):
            raise ValueError(f"--host-policy {name} has setting '{key}', known are numa-node and cpu-cores")
        settings.setdefault(name, {})[key] = value
    return {name: _host_policy(name, given) for name, given in settings.items()}


def _host_policy(name: str, given: Mapping[str, str]) -> HostPolicy:
    cores: list[int] = []
    for part in given["cpu-cores"].split(",") if "cpu-cores" in given else ():
        first, dash, last = part.partition("-")
        numbers = (_number(first), _number(last) if dash else _number(first))
        if numbers[0] is None or numbers[1] is None or not numbers[0] <= numbers[1] < _MOST_CORES:
            text = given["cpu-cores"]
            raise ValueError(
                f"--host-policy {name},cpu-cores must be numbers below {_MOST_CORES} or ranges as 0-3,8, got '{text}'"
            )
        cores.extend(range(numbers[0], numbers[1] + 1))
    node = _number(given["numa-node"]) if "numa-node" in given else None
    if "numa-node" in given and node is None:
        raise ValueError(f"--host-policy {name},numa-node must be a number, got '{given['numa-node']}'")
    return HostPolicy(cores=tuple(dict.fromkeys(cores)), numa_node=node)


def _pool(text: str) -> ResourcePool:
    name, *numbers = text.split(":")
    values = [_number(number) for number in numbers]
    if not name or len(values) not in (1, 2) or None in values:
        raise ValueError(
            "--rate-limit-resource option format is '<resource_name>:<count>:<device>' or '<resource_name>:<count>'. "
            f"Got {text}"
        )
    count, device = [value for value in (*values, None)][:2]
    assert count is not None
    return ResourcePool(name, count, device)


def _number(text: str) -> int | None:
    """Return a number that fits 31 bits; None for any other text."""
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(_MOST_RESOURCES))):
        return None
    return int(text) if int(text) <= _MOST_RESOURCES else None
