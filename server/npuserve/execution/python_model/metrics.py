"""Metrics that models make themselves, for the metrics endpoint."""

from dataclasses import dataclass, field

Labels = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class CustomFamily:
    """Metrics of one name. kind: `counter` or `gauge`. values: by their labels, sorted by name."""

    name: str
    description: str
    kind: str
    values: dict[Labels, float] = field(default_factory=dict)


class CustomMetrics:
    """The families of all Python models. Used on the event loop only."""

    def __init__(self) -> None:
        self._families: dict[str, CustomFamily] = {}

    def families(self) -> list[CustomFamily]:
        """Return the families, by name."""
        return [self._families[name] for name in sorted(self._families)]

    def declare(self, name: str, description: str, kind: str) -> None:
        """Add a family; one of the name that is there stays as it is."""
        self._families.setdefault(name, CustomFamily(name, description, kind))

    def change(self, name: str, operation: str, labels: dict[str, str], value: float) -> None:
        """Add to a metric (`increment`) or set it (`set`); a family that is not declared is ignored."""
        family = self._families.get(name)
        if family is None:
            return
        key = tuple(sorted(labels.items()))
        family.values[key] = value if operation == "set" else family.values.get(key, 0.0) + value
