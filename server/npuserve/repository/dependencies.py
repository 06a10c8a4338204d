"""Which models need which others: the steps of ensembles. Pure functions over names."""

from collections.abc import Collection, Mapping

from npuserve._proto.model_config_pb2 import ModelConfig

Steps = Mapping[str, Collection[str]]
"""The models that each model's steps name; models without steps may be left out."""


def steps_of(config: ModelConfig) -> frozenset[str]:
    """Return the models that a config's steps name: none unless it is an ensemble's."""
    return frozenset(step.model_name for step in config.ensemble_scheduling.step if step.model_name)


def required_versions(config: ModelConfig) -> list[tuple[str, int]]:
    """Return the steps that ask for one version: model and version."""
    return [(step.model_name, step.model_version) for step in config.ensemble_scheduling.step if step.model_version > 0]


def find_circle(name: str, steps: Steps) -> tuple[str, ...]:
    """Return a way from a model over its steps back to itself, beginning and ending with it; empty if there is none."""
    came_from: dict[str, str] = {}
    waiting = [name]
    while waiting:
        current = waiting.pop()
        for step in sorted(steps.get(current, ())):
            if step == name:
                return _way(name, current, came_from)
            if step not in came_from:
                came_from[step] = current
                waiting.append(step)
    return ()


def _way(name: str, last: str, came_from: Mapping[str, str]) -> tuple[str, ...]:
    way = [name]
    while last != name:
        way.append(last)
        last = came_from[last]
    return (name, *reversed(way))


def dependents_of(names: Collection[str], steps: Steps) -> frozenset[str]:
    """Return the ensembles that need one of the models, directly or through others; not the models themselves."""
    found: set[str] = set()
    waiting = set(names)
    while waiting:
        waiting = {name for name, needs in steps.items() if waiting & set(needs)} - found - set(names)
        found |= waiting
    return frozenset(found)


def all_steps(name: str, steps: Steps) -> frozenset[str]:
    """Return the models that a model needs, directly or through others."""
    found: set[str] = set()
    waiting = set(steps.get(name, ()))
    while waiting:
        found |= waiting
        waiting = {step for each in waiting for step in steps.get(each, ())} - found
    return frozenset(found - {name})
