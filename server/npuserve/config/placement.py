"""Where each instance of a model runs, and what it needs to run there."""

from collections.abc import Iterator
from dataclasses import dataclass

from npuserve._proto.model_config_pb2 import ModelConfig, ModelInstanceGroup
from npuserve.core.errors import invalid


@dataclass(frozen=True, slots=True)
class ResourceNeed:
    """What an execution needs of a resource that instances share; a global one is of all devices together."""

    name: str
    count: int
    is_global: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class InstancePlacement:
    """One instance.

    device: its ordinal; 0 if the backend runs on the CPU.
    host_policy: the name of where its threads run; "" if the config names none.
    resources, priority: for the rate limiter; the higher the priority, the fewer executions.
    """

    device: int
    host_policy: str = ""
    resources: tuple[ResourceNeed, ...] = ()
    priority: int = 1


def placements(config: ModelConfig, *, device_count: int, on_cpu: bool) -> tuple[InstancePlacement, ...]:
    """Return the instances that take requests. Raises ServeError: INVALID_ARGUMENT if there are none, or no device."""
    if device_count == 0 and not on_cpu:
        raise invalid(f"model '{config.name}' needs an NPU but none is available")
    instances = tuple(
        InstancePlacement(
            device=device,
            host_policy=group.host_policy,
            resources=_resources(config, group),
            priority=max(1, group.rate_limiter.priority),
        )
        for group in config.instance_group
        if not group.passive
        for device in (_cpu_instances(group) if on_cpu else _devices(config, group, device_count))
    )
    if not instances:
        raise invalid(f"model '{config.name}' has no instance that takes requests")
    return instances


def _cpu_instances(group: ModelInstanceGroup) -> Iterator[int]:
    return iter([0] * group.count)


def _devices(config: ModelConfig, group: ModelInstanceGroup, device_count: int) -> Iterator[int]:
    """Yield one device per instance: `count` on each listed one; a group that leaves the choice spreads over all."""
    if group.kind == ModelInstanceGroup.KIND_CPU:
        raise invalid(
            f"instance group {group.name} of model {config.name} has kind KIND_CPU but backend '{config.backend}' "
            "runs on NPUs only"
        )
    if group.kind == ModelInstanceGroup.KIND_MODEL:
        yield from (instance % device_count for instance in range(group.count))
    else:
        yield from (device for _ in range(group.count) for device in group.gpus)


def _resources(config: ModelConfig, group: ModelInstanceGroup) -> tuple[ResourceNeed, ...]:
    named: dict[str, ResourceNeed] = {}
    for given in group.rate_limiter.resources:
        where = f"instance group {group.name} of model {config.name}"
        if not given.name:
            raise invalid(f"{where} needs a resource without a name")
        if given.name in named:
            raise invalid(f"{where} needs resource '{given.name}' twice")
        if given.count > 0:
            named[given.name] = ResourceNeed(given.name, given.count, getattr(given, "global"))
    return tuple(named.values())
