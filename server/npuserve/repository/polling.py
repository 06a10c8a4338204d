"""What changed in the repositories between two looks: a plan, made without acting."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from npuserve.repository.scan import Fingerprint, ModelDirectory, Scan, fingerprint, scan_repositories


@dataclass(frozen=True, slots=True)
class Sight:
    """The repositories at one moment: their models, with the fingerprints of those whose folders can be read."""

    scan: Scan
    fingerprints: Mapping[str, Fingerprint]


@dataclass(frozen=True, slots=True)
class PollPlan:
    """The models to load anew or for the first time, and the names of those to unload. No model is in both."""

    load: tuple[ModelDirectory, ...]
    remove: tuple[str, ...]


def look(repositories: Iterable[Path], config_name: str = "") -> Sight:
    """Look at every file of the repositories. Blocks on the disk. Raises OSError if one cannot be listed."""
    scan = scan_repositories(repositories, config_name)
    fingerprints: dict[str, Fingerprint] = {}
    for name, directory in scan.models.items():
        try:
            fingerprints[name] = fingerprint(directory)
        except OSError as error:
            # Files come and go while they are looked at; the next look finds what it became.
            scan.failures[name] = str(error)
    return Sight(scan, fingerprints)


def plan_poll(before: Sight, now: Sight) -> PollPlan:
    """Return what to do. A folder that cannot be read, or is there twice, leaves its model as it is."""
    load = tuple(
        directory
        for name, directory in now.scan.models.items()
        if name in now.fingerprints
        and (before.scan.models.get(name) != directory or before.fingerprints.get(name) != now.fingerprints[name])
    )
    gone = (before.scan.models.keys() | before.scan.failures.keys()) - now.scan.models.keys() - now.scan.failures.keys()
    return PollPlan(load, tuple(sorted(gone)))
