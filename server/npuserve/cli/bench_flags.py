"""The flags of `npuserve bench`."""

import argparse
from pathlib import Path


def add_bench_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    _add_target_arguments(parser.add_argument_group("target"))
    _add_load_arguments(parser.add_argument_group("load: a closed loop, or an open one"))
    _add_sample_arguments(parser.add_argument_group("what to send: one of the first three, or made-up tensors"))
    _add_measurement_arguments(parser.add_argument_group("measurement"))
    output = parser.add_argument_group("output")
    output.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured; -: stdout alone")
    output.add_argument("--quiet", action="store_true", help="no live progress")


def _add_target_arguments(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("-m", "--model", required=True, help="name of the model")
    add("--model-version", default="", metavar="N", help="version (default: the server's choice)")
    add("-u", "--url", metavar="HOST:PORT", help="default localhost:8001, for HTTP localhost:8000")
    add("-i", "--protocol", choices=("grpc", "http"), default="grpc", help="default grpc")
    add("--streaming", action="store_true", help="ModelStreamInfer, instead of a call a request")
    add("-H", "--header", action="append", default=[], metavar="NAME:VALUE", help="send this with each request")


def _add_load_arguments(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--concurrency",
        metavar="N",
        help="so many requests always under way; a list 1,4,16, a range 1:64:2 (step) or 1:64:x2 (factor); default 1",
    )
    add("--request-rate", metavar="R", help="requests a second that are due whatever the answers do; lists as above")
    add("--distribution", choices=("poisson", "constant"), help="of --request-rate (poisson)")
    add("--in-flight", type=int, metavar="N", help="most requests under way with --request-rate (a generous number)")
    add("--processes", type=int, default=1, metavar="N", help="client processes that share the load (1)")
    add("--connections", type=int, metavar="N", help="of all processes (gRPC: one for 6 requests; HTTP: one each)")


def _add_sample_arguments(group: argparse._ArgumentGroup) -> None:
    source = group.add_mutually_exclusive_group()
    source.add_argument("--input", metavar="FILE", help="JSON lines: tensors by the inputs' names; -: stdin")
    source.add_argument("--texts", metavar="FILE", help="one text a line; with --tokenizer for models of tokens")
    source.add_argument("--lengths", metavar="L,...", help="make up a sample of each length; @FILE: one a line")
    add = group.add_argument
    add("--tokenizer", type=Path, metavar="FILE", help="tokenizer.json of the model, for --texts")
    add("--max-length", type=int, metavar="N", help="cut --texts to so many tokens")
    add("--shape", action="append", default=[], metavar="NAME:D,...", help="of a made-up input, without the batch axis")
    add("-b", "--batch", type=int, default=1, metavar="N", help="send each row so many times in a request (1)")
    add("--seed", type=int, default=0, metavar="N", help="of the order of samples, made-up values and Poisson (0)")


def _add_measurement_arguments(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--warmup", type=float, default=1.0, metavar="SECONDS", help="not counted (1)")
    add("--window", type=float, default=2.0, metavar="SECONDS", help="length of a window (2)")
    add("--max-windows", type=int, default=10, metavar="N", help="stop even if the last three do not agree (10)")
    add("--stability", type=float, default=10.0, metavar="PERCENT", help="within which they must agree (10)")
