"""`npuserve bench`: loads a server and says what its clients then wait."""

import argparse
import json
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from npuserve.cli.bench_report import as_table, live_line
from npuserve.migrate.chain.tensors import Tensors
from npuserve.migrate.errors import MigrationError, PlanError
from npuserve.migrate.load import LoadOptions, LoadReport, ModelInterface, Progress, describe, measure
from npuserve.migrate.load.levels import read_levels
from npuserve.migrate.load.options import Protocol
from npuserve.migrate.load.report import as_json
from npuserve.migrate.load.samples import made_up_samples, read_samples, repeated, text_samples
from npuserve.migrate.sample import read_lengths

_INTERRUPTED = 130


def run(parsed: argparse.Namespace) -> int:
    """Measure each load and print a table; return 2 for what cannot be measured, 1 if a load had no good answer."""
    reports: list[LoadReport] = []
    try:
        options = _options(parsed)
        for each in options:
            reports.append(_measured(each, parsed.quiet or not sys.stderr.isatty()))
    except (MigrationError, PlanError) as error:
        print(f"npuserve bench: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("npuserve bench: interrupted", file=sys.stderr)
        return _INTERRUPTED
    if str(parsed.json) != "-":
        print("\n".join(as_table(reports)))
    if parsed.json is not None and not _write(parsed, reports):
        return 2
    return 0 if all(report.measured.latency.total for report in reports) else 1


def _options(parsed: argparse.Namespace) -> list[LoadOptions]:
    """Return the loads, checked before the first begins. Raises MigrationError."""
    _check_flags(parsed)
    protocol: Protocol = "grpc_stream" if parsed.streaming else parsed.protocol
    url = parsed.url or ("localhost:8000" if protocol == "http" else "localhost:8001")
    fields = tuple(_header(text) for text in parsed.header)
    levels = _levels(parsed)
    model = describe(url, parsed.model, version=parsed.model_version, protocol=protocol, fields=fields)
    samples = repeated(_samples(parsed, model), parsed.batch, model)
    random.Random(parsed.seed).shuffle(samples)
    return [
        LoadOptions(
            url=url,
            model=parsed.model,
            version=parsed.model_version,
            protocol=protocol,
            samples=samples,
            concurrency=concurrency,
            request_rate=rate,
            distribution=parsed.distribution or "poisson",
            processes=parsed.processes,
            connections=parsed.connections,
            in_flight=parsed.in_flight,
            warmup_seconds=parsed.warmup,
            window_seconds=parsed.window,
            max_windows=parsed.max_windows,
            stability=parsed.stability / 100,
            fields=fields,
            seed=parsed.seed,
        )
        for concurrency, rate in levels
    ]


def _check_flags(parsed: argparse.Namespace) -> None:
    wrong = {
        "--concurrency and --request-rate cannot both be given: a loop is closed or open": parsed.concurrency
        and parsed.request_rate,
        "--distribution is of --request-rate, which is not given": parsed.distribution and not parsed.request_rate,
        "--in-flight is of --request-rate, which is not given": parsed.in_flight and not parsed.request_rate,
        "--streaming is of gRPC, not of HTTP": parsed.streaming and parsed.protocol == "http",
        "--tokenizer is of --texts, which is not given": parsed.tokenizer and not parsed.texts,
        "--max-length is of --texts with --tokenizer": parsed.max_length is not None and not parsed.tokenizer,
        "--max-length must be at least 1": parsed.max_length is not None and parsed.max_length < 1,
        "--shape is of made-up tensors, not of a data set": parsed.shape and (parsed.input or parsed.texts),
        "--batch must be at least 1": parsed.batch < 1,
    }
    for sentence, is_wrong in wrong.items():
        if is_wrong:
            raise MigrationError(sentence)


def _levels(parsed: argparse.Namespace) -> list[tuple[int, float | None]]:
    if parsed.request_rate:
        return [(1, rate) for rate in read_levels(parsed.request_rate)]
    levels = read_levels(parsed.concurrency or "1")
    if any(level != int(level) for level in levels):
        raise MigrationError(f"--concurrency takes whole numbers, got '{parsed.concurrency}'")
    return [(int(level), None) for level in levels]


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip() or not (name + value).isprintable():
        raise MigrationError(f"--header takes NAME:VALUE, got '{text}'")
    return name.strip(), value.strip()


def _samples(parsed: argparse.Namespace, model: ModelInterface) -> list[Tensors]:
    if parsed.input is not None:
        with _opened(parsed.input) as file:
            return read_samples(file, parsed.input, model)
    if parsed.texts is not None:
        with _opened(parsed.texts) as file:
            return text_samples(file, parsed.texts, model, parsed.tokenizer, parsed.max_length)
    shapes = dict(_shape(text) for text in parsed.shape)
    return made_up_samples(model, _lengths(parsed.lengths), shapes, parsed.seed)


def _lengths(text: str | None) -> Sequence[int]:
    if text is None:
        return ()
    if text.startswith("@"):
        with _opened(text[1:]) as file:
            sample = read_lengths(file, text[1:])
            return [length for length, rows in zip(sample.lengths, sample.rows, strict=True) for _ in range(rows)]
    sample = read_lengths(text.split(","), "--lengths")
    return sample.lengths


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    name, colon, sizes = text.rpartition(":")
    try:
        shape = tuple(int(size) for size in sizes.split(","))
    except ValueError:
        shape = ()
    if not colon or not shape or min(shape) < 1:
        raise MigrationError(f"--shape takes NAME:D,... with positive sizes, got '{text}'")
    return name, shape


@contextmanager
def _opened(name: str) -> Iterator[TextIO]:
    """Open a file, or stdin if it is `-`. Raises MigrationError if it cannot be read as text."""
    try:
        if name == "-":
            yield sys.stdin
        else:
            with Path(name).open(encoding="utf-8") as file:
                yield file
    except OSError as error:
        raise MigrationError(f"cannot read {name}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise MigrationError(f"{name} is not UTF-8 text: {error.reason}") from error


def _measured(options: LoadOptions, quiet: bool) -> LoadReport:
    if quiet:
        return measure(options)
    load = f"concurrency {options.concurrency}" if options.request_rate is None else f"{options.request_rate:g}/s"
    try:
        return measure(options, _teller(load))
    finally:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _teller(load: str) -> Callable[[Progress], None]:
    def tell(progress: Progress) -> None:
        print(f"\r\x1b[K{live_line(load, progress)}", end="", file=sys.stderr, flush=True)

    return tell


def _write(parsed: argparse.Namespace, reports: Sequence[LoadReport]) -> bool:
    text = json.dumps({"loads": [as_json(report) for report in reports]}, indent=1)
    if str(parsed.json) == "-":
        print(text)
        return True
    try:
        parsed.json.write_text(text + "\n")
    except OSError as error:
        reason = error.strerror or error
        print(f"npuserve bench: error: --json: cannot write {parsed.json}: {reason}", file=sys.stderr)
        return False
    return True
