"""What a rewrite did, as the report tells it."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What a rewrite did. places: nodes it changed. left: what looked like its case and was not, with the reason."""

    rewrite: str
    reason: str
    places: tuple[str, ...]
    left: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {**asdict(self), "count": len(self.places)}
