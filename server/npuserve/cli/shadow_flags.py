"""The flags of `npuserve shadow`, which has those of `npuserve serve` besides."""

import argparse
from pathlib import Path

from npuserve.migrate.errors import MigrationError
from npuserve.migrate.shadow.options import PRIORITIES, Limits, ShadowOptions

_MIB = 1 << 20
_KIB = 1 << 10


def add_shadow_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own flags; `shadow_options` reads them."""
    add = parser.add_argument_group("shadow").add_argument
    add("--reference", required=True, metavar="HOST:PORT", help="gRPC of the server that requests are repeated at")
    add("--share", type=float, default=0.1, metavar="S", help="of the live requests, up to 1 (%(default)s)")
    add("--models", default="", metavar="A,B", help="mirror these models alone (all)")
    add("--report", type=Path, default=Path("shadow"), metavar="DIR", help="report and worst cases (./%(default)s)")
    add("--reference-header", action="append", default=[], metavar="NAME:VALUE", help="send this with each request")
    add("--reference-timeout-secs", type=float, default=10.0, metavar="SECS", help="for each request (%(default)g)")
    add("--max-in-flight", type=int, default=8, metavar="N", help="requests that the reference has at once (8)")
    add("--queue-mib", type=int, default=32, metavar="MIB", help="memory of the queue; what is above is dropped (32)")
    add("--most-kib", type=int, default=4096, metavar="KIB", help="largest request, with its answer, to mirror (4096)")
    add("--keep-cases", type=int, default=20, metavar="N", help="how many of the worst cases are kept as files (20)")
    add("--keep-mib", type=int, default=64, metavar="MIB", help="and their size (64)")
    add("--priority", choices=PRIORITIES, default="idle", help="of the process that repeats and compares (idle)")
    limits = parser.add_argument_group("shadow: limits").add_argument
    plain = Limits()
    limits("--min-cosine", type=float, default=plain.min_cosine, metavar="C", help="of a row, or it disagrees (0.999)")
    limits("--max-error", type=float, default=plain.max_error, metavar="E", help="of a row, relative (0.05)")
    limits("--fail-below-cosine", type=float, metavar="C", help="exit code 3 if any row's cosine is below")
    limits("--fail-above-disagreed", type=float, metavar="S", help="exit code 3 if more than this share disagrees")


def shadow_options(parsed: argparse.Namespace) -> ShadowOptions:
    """Return the checked options. Raises MigrationError."""
    return ShadowOptions(
        reference=parsed.reference,
        share=parsed.share,
        models=frozenset(name for name in parsed.models.split(",") if name),
        report=parsed.report,
        fields=tuple(_field(text) for text in parsed.reference_header),
        max_in_flight=parsed.max_in_flight,
        timeout_secs=parsed.reference_timeout_secs,
        queue_bytes=parsed.queue_mib * _MIB,
        most_bytes=parsed.most_kib * _KIB,
        keep_cases=parsed.keep_cases,
        keep_bytes=parsed.keep_mib * _MIB,
        priority=parsed.priority,
        limits=Limits(
            min_cosine=parsed.min_cosine,
            max_error=parsed.max_error,
            fail_below_cosine=parsed.fail_below_cosine,
            fail_above_disagreed=parsed.fail_above_disagreed,
        ),
    )


def _field(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip() or not (name + value).isprintable():
        raise MigrationError(f"--reference-header takes NAME:VALUE, got '{text}'")
    return name.strip().lower(), value.strip()
