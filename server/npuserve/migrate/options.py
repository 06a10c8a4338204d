"""What a plan is made for: the compiler's limits and the user's wishes."""

from dataclasses import dataclass, field

from npuserve.migrate.costs import CostModel
from npuserve.migrate.errors import PlanError

# Of atc for A2 chips, for --dynamic_dims and --dynamic_batch_size. One gear alone is no gear: fixed shapes.
MAX_GEARS = 100
# The largest batch that atc advises.
MAX_BATCH = 2048
# A gear is the shapes of all inputs in one aclmdlIODims, which has 128 places, and these inputs have two axes each.
MAX_INPUTS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """Checks itself; raises PlanError.

    batches: to be compiled; empty: powers of two up to the largest that is of use. max_batch: the largest.
    concurrency: rows that are in flight at once, so that no batch is larger; None if it is not known.
    max_length: the longest row that is to be served; None: the sample's longest. align: what lengths are multiples of.
    tolerance: how much a plan may cost more than the best and be recommended. inputs: names, in the model's order.
    compared: lengths that are assessed beside the proposals.
    """

    max_gears: int = MAX_GEARS
    max_batch: int = 32
    batches: tuple[int, ...] = ()
    concurrency: int | None = None
    max_length: int | None = None
    align: int = 8
    tolerance: float = 0.05
    cost: CostModel = field(default_factory=CostModel)
    inputs: tuple[str, ...] = ("input_ids", "attention_mask")
    compared: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        _check_range("--max-gears", self.max_gears, MAX_GEARS)
        _check_range("--max-batch", self.max_batch, MAX_BATCH)
        for batch in self.batches:
            _check_range("--batches", batch, MAX_BATCH)
        if len(set(self.batches)) < len(self.batches):
            raise PlanError(f"--batches names a batch twice: {_joined(self.batches)}")
        _check_at_least_one("--concurrency", self.concurrency)
        _check_at_least_one("--max-length", self.max_length)
        _check_at_least_one("--align", self.align)
        for length in self.compared:
            _check_at_least_one("--compare", length)
        if not 0 <= self.tolerance <= 1:
            raise PlanError(f"--tolerance must be 0 to 1, got {self.tolerance:g}")
        self._check_inputs()
        if len(self.compiled_batches) > self.max_gears:
            raise PlanError(
                f"--max-gears {self.max_gears} is less than the {len(self.compiled_batches)} batch sizes "
                f"{_joined(self.compiled_batches)}: allow more gears, or name fewer by --batches"
            )

    @property
    def compiled_batches(self) -> tuple[int, ...]:
        """The batch sizes of every plan, ascending."""
        if self.batches:
            return tuple(sorted(self.batches))
        largest = min(self.max_batch, self.concurrency or self.max_batch)
        return (*(1 << power for power in range((largest - 1).bit_length())), largest)

    @property
    def max_lengths(self) -> int:
        """How many lengths the limit of gears leaves."""
        return self.max_gears // len(self.compiled_batches)

    def _check_inputs(self) -> None:
        if not self.inputs or not all(self.inputs) or any(set(name) & set(":;, ") for name in self.inputs):
            raise PlanError(f"--input-names must be names between commas, got '{','.join(self.inputs)}'")
        if len(set(self.inputs)) < len(self.inputs):
            raise PlanError(f"--input-names names an input twice: {','.join(self.inputs)}")
        if len(self.inputs) > MAX_INPUTS:
            raise PlanError(f"{len(self.inputs)} inputs are more than the {MAX_INPUTS} that a gear can describe")


def _check_range(flag: str, value: int, most: int) -> None:
    if not 1 <= value <= most:
        raise PlanError(f"{flag} must be 1 to {most}, got {value}")


def _check_at_least_one(flag: str, value: int | None) -> None:
    if value is not None and value < 1:
        raise PlanError(f"{flag} must be at least 1, got {value}")


def _joined(values: tuple[int, ...]) -> str:
    return ",".join(map(str, values))
