"""What a rewrite is told and what it tells."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Target:
    """What the graph is for. opset: it is to be written in. decompose: operators to take apart although it has them."""

    opset: int
    decompose: frozenset[str] = frozenset()

    def lacks(self, operator: str, since: int) -> bool:
        """Whether an operator that came with version `since` must not be used."""
        return self.opset < since or operator in self.decompose


@dataclass(slots=True)
class Changes:
    """places: names of the nodes that were changed. left: what was not, each with the reason."""

    places: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
