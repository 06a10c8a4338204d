"""The flags of `npuserve plan`."""

import argparse
from pathlib import Path

from npuserve.migrate.costs import CostModel, attention_of
from npuserve.migrate.errors import PlanError
from npuserve.migrate.options import MAX_GEARS, PlanOptions


def add_plan_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    _add_sample_arguments(parser.add_argument_group("sample: one of the first three"))
    _add_limit_arguments(parser.add_argument_group("limits and wishes"))
    output = parser.add_argument_group("output")
    output.add_argument("--choose", type=int, metavar="K", help="print the flags of K lengths, not of the recommended")
    output.add_argument("--plot", type=Path, metavar="FILE.png", help="draw the proposals (needs matplotlib)")
    output.add_argument("--json", type=Path, metavar="FILE", help="write all proposals with their flags")


def _add_sample_arguments(group: argparse._ArgumentGroup) -> None:
    source = group.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--lengths", metavar="FILE", help="one length a line, an integer or JSON with a field 'length'; -: stdin"
    )
    source.add_argument("--texts", metavar="FILE", help="one text a line, counted by --tokenizer; -: stdin")
    source.add_argument("--from", dest="url", metavar="URL", help="metrics of a server, http://HOST:8002/metrics")
    group.add_argument("--tokenizer", type=Path, metavar="FILE", help="tokenizer.json of the model, for --texts")
    group.add_argument("--model", help="whose lengths, for --from; may be left out if there is one")


def _add_limit_arguments(group: argparse._ArgumentGroup) -> None:
    plain = PlanOptions()
    add = group.add_argument
    add("--max-length", type=int, metavar="N", help="longest row to serve (default: the sample's longest)")
    add("--max-gears", type=int, default=plain.max_gears, metavar="N", help=f"at most {MAX_GEARS}, the default")
    add("--max-batch", type=int, default=plain.max_batch, metavar="N", help=f"largest batch ({plain.max_batch})")
    add("--batches", type=_sizes, default=(), metavar="B,...", help="batch sizes, instead of powers of two")
    add("--concurrency", type=int, metavar="N", help="rows in flight at once: no batch is larger")
    add("--align", type=int, default=plain.align, metavar="N", help=f"lengths are multiples of N ({plain.align})")
    add("--compare", type=_sizes, default=(), metavar="L,...", help="lengths that you have: shown beside the proposals")
    add(
        "--tolerance",
        type=float,
        default=plain.tolerance,
        metavar="SHARE",
        help=f"recommended are the fewest lengths whose cost is above the best by at most this ({plain.tolerance:g})",
    )
    add("--hidden-size", type=int, metavar="H", help="of the encoder: its attention is counted in the cost")
    add("--cost-per-execution", type=float, metavar="TOKENS", help="what any execution costs besides its tokens (0)")
    add("--input-names", default=",".join(plain.inputs), metavar="A,B", help=f"default {','.join(plain.inputs)}")


def plan_options(parsed: argparse.Namespace) -> PlanOptions:
    """Return the checked options. Raises PlanError."""
    return PlanOptions(
        max_gears=parsed.max_gears,
        max_batch=parsed.max_batch,
        batches=parsed.batches,
        concurrency=parsed.concurrency,
        max_length=parsed.max_length,
        align=parsed.align,
        tolerance=parsed.tolerance,
        cost=_cost(parsed),
        inputs=tuple(parsed.input_names.split(",")),
        compared=parsed.compare,
    )


def chooses_cost(parsed: argparse.Namespace) -> bool:
    """Say whether flags tell the cost, so that no measured one counts."""
    return parsed.hidden_size is not None or parsed.cost_per_execution is not None


def _cost(parsed: argparse.Namespace) -> CostModel:
    hidden = parsed.hidden_size
    if hidden is not None and hidden < 1:
        raise PlanError(f"--hidden-size must be at least 1, got {hidden}")
    return CostModel(fixed=parsed.cost_per_execution or 0.0, attention=attention_of(hidden) if hidden else 0.0)


def _sizes(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected numbers between commas, got '{text}'") from error
