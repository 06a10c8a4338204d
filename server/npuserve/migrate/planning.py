"""From a sample to proposals: the best one for each number of lengths, and which of them to take."""

from bisect import bisect_left
from dataclasses import dataclass

from npuserve.migrate.errors import PlanError
from npuserve.migrate.lengths import best_lengths, candidates
from npuserve.migrate.options import PlanOptions
from npuserve.migrate.sample import LengthSample


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Gears: every pair of a batch and a length, both ascending.

    run_tokens: what runs of the sample when each row has the shortest length that holds it, and batches are full.
    waste: the share of it that is padding. cost: of running it, relative to all rows at the longest planned length.
    """

    batches: tuple[int, ...]
    lengths: tuple[int, ...]
    run_tokens: int
    waste: float
    cost: float

    @property
    def gears(self) -> tuple[tuple[int, int], ...]:
        """Pairs of a batch and a length."""
        return tuple((batch, length) for batch in self.batches for length in self.lengths)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Proposals by number of lengths, 1 first; `recommended` is one of them. compared: the gears that are there now."""

    sample: LengthSample
    options: PlanOptions
    proposals: tuple[Proposal, ...]
    recommended: Proposal
    compared: Proposal | None = None


def plan(sample: LengthSample, options: PlanOptions) -> Plan:
    """Return the best proposal for each number of lengths that the limit of gears allows. Raises PlanError."""
    longest = _longest(sample, options)
    batches = options.compiled_batches
    chosen = best_lengths(
        sample,
        candidates(sample, options.align, longest),
        lambda length: options.cost.of_row(batches[-1], length),
        options.max_lengths,
    )
    proposals = tuple(assess(sample, lengths, options) for lengths in chosen)
    least = min(proposal.cost for proposal in proposals)
    recommended = next(proposal for proposal in proposals if proposal.cost <= least * (1 + options.tolerance))
    compared = assess(sample, options.compared, options) if options.compared else None
    return Plan(sample=sample, options=options, proposals=proposals, recommended=recommended, compared=compared)


def assess(sample: LengthSample, lengths: tuple[int, ...], options: PlanOptions) -> Proposal:
    """Return what running the sample at these lengths would waste and cost. Raises PlanError if one is too long."""
    ordered = tuple(sorted(set(lengths)))
    if sample.lengths[-1] > ordered[-1]:
        raise PlanError(f"the sample has a row of length {sample.lengths[-1]}, beyond the longest gear, {ordered[-1]}")
    batches = options.compiled_batches
    run_tokens, cost = 0, 0.0
    for length, rows in zip(sample.lengths, sample.rows, strict=True):
        gear = ordered[bisect_left(ordered, length)]
        run_tokens += rows * gear
        cost += rows * options.cost.of_row(batches[-1], gear)
    at_longest = sample.total_rows * options.cost.of_row(batches[-1], _longest(sample, options))
    return Proposal(
        batches=batches,
        lengths=ordered,
        run_tokens=run_tokens,
        waste=1 - sample.tokens / run_tokens,
        cost=cost / at_longest,
    )


def _longest(sample: LengthSample, options: PlanOptions) -> int:
    """Return the length of the longest gear. Raises PlanError."""
    found = sample.lengths[-1]
    if options.max_length is None:
        return -(-found // options.align) * options.align
    if found > options.max_length:
        raise PlanError(f"the sample has a row of length {found}, above --max-length {options.max_length}")
    return options.max_length
