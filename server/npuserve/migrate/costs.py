"""What running a gear costs."""

from dataclasses import dataclass

from npuserve.migrate.errors import PlanError


@dataclass(frozen=True, slots=True, kw_only=True)
class CostModel:
    """The cost of an execution: fixed + rows × length × (token + attention × length), in any unit, which is named.

    fixed: of any execution, whatever its size. token: of a token for itself. attention: of a token, per position of
    its row.
    """

    fixed: float = 0.0
    token: float = 1.0
    attention: float = 0.0
    unit: str = "tokens"

    def __post_init__(self) -> None:
        costs = (self.fixed, self.token, self.attention)
        if not all(0 <= cost < 1e12 for cost in costs):
            raise PlanError(f"a cost must be 0 or a positive number, got {', '.join(f'{cost:g}' for cost in costs)}")

    def __str__(self) -> str:
        """As a formula."""
        return f"{self.fixed:.4g} + rows × length × ({self.token:.4g} + {self.attention:.4g} × length) {self.unit}"

    def of_row(self, rows: int, length: int) -> float:
        """Return a row's share of the cost of a full gear."""
        return self.fixed / rows + length * (self.token + self.attention * length)


def attention_of(hidden_size: int) -> float:
    """Return what attention costs in a transformer encoder with this hidden size, if `token` is 1.

    A layer multiplies each token by 12 h² weights (4 h² for query, key, value and output, 8 h² for the two of the
    feed-forward part, 4 h wide), and attention adds 2 h for each position: scores and weighted sum.
    """
    return 2 * hidden_size / (12 * hidden_size**2)
