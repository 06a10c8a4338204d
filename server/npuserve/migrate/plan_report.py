"""A plan as rows of text and as JSON."""

from collections.abc import Mapping, Sequence

from npuserve.migrate.gear_flags import atc_flags, gears_parameter
from npuserve.migrate.planning import Plan, Proposal

HEAD = ("", "lengths", "gears", "waste", "cost", "which lengths")
# More rows than these do not help to choose; the JSON has all.
MAX_ROWS = 24


def rows(plan: Plan) -> list[tuple[str, ...]]:
    """Return the cells of the proposals under HEAD, a star at the recommended one; last what they are compared with."""
    shown = list(plan.proposals[:MAX_ROWS])
    if plan.recommended not in shown:
        shown.append(plan.recommended)
    cells = [_row(proposal, "*" if proposal is plan.recommended else "") for proposal in shown]
    return cells if plan.compared is None else [*cells, _row(plan.compared, "given")]


def _row(proposal: Proposal, mark: str) -> tuple[str, ...]:
    return (
        mark,
        str(len(proposal.lengths)),
        str(len(proposal.gears)),
        f"{proposal.waste:.1%}",
        f"{proposal.cost:.3f}",
        ",".join(map(str, proposal.lengths)),
    )


def as_json(plan: Plan) -> Mapping[str, object]:
    """Return everything: the sample in short, and each proposal with its flags."""
    sample, inputs = plan.sample, plan.options.inputs
    return {
        "sample": {
            "rows": sample.total_rows,
            "tokens": sample.tokens,
            "shortest": sample.lengths[0],
            "longest": sample.lengths[-1],
        },
        "proposals": [_object(proposal, inputs) for proposal in plan.proposals],
        "recommended": plan.proposals.index(plan.recommended),
        "compared": None if plan.compared is None else _object(plan.compared, inputs),
    }


def _object(proposal: Proposal, inputs: Sequence[str]) -> Mapping[str, object]:
    return {
        "batches": proposal.batches,
        "lengths": proposal.lengths,
        "gears": proposal.gears,
        "run_tokens": proposal.run_tokens,
        "waste": proposal.waste,
        "cost": proposal.cost,
        "atc_flags": atc_flags(inputs, proposal.batches, proposal.lengths),
        "gears_parameter": gears_parameter(proposal.batches, proposal.lengths),
    }
