"""`npuserve plan`: proposes the gears to compile a model for, from a sample of real lengths."""

import argparse
import json
import shlex
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.client import HTTPException
from pathlib import Path
from typing import TextIO

from npuserve.cli.plan_flags import chooses_cost, plan_options
from npuserve.cli.tables import table
from npuserve.migrate.errors import PlanError
from npuserve.migrate.gear_flags import atc_flags, gears_parameter
from npuserve.migrate.measured import fitted, read_costs
from npuserve.migrate.options import PlanOptions
from npuserve.migrate.plan_report import HEAD, as_json, rows
from npuserve.migrate.planning import Plan, Proposal, plan
from npuserve.migrate.plot import draw
from npuserve.migrate.recorded import read_recorded, recorded_model
from npuserve.migrate.sample import LengthSample, read_lengths
from npuserve.migrate.tokenized import read_texts

_FETCH_SECONDS = 10


def run(parsed: argparse.Namespace) -> int:
    """Print the plan and write the files asked for; return 2 for a sample or limits that cannot be planned for."""
    try:
        _check_sources(parsed)
        options = plan_options(parsed)
        found = plan(*_recorded(parsed, options)) if parsed.url else plan(_given(parsed), options)
        chosen = _chosen(found, parsed.choose)
        if parsed.plot is not None:
            draw(found, parsed.plot)
        if parsed.json is not None:
            _write(parsed.json, json.dumps(as_json(found), indent=1) + "\n")
    except PlanError as error:
        print(f"npuserve plan: error: {error}", file=sys.stderr)
        return 2
    print("\n".join(_report(found, chosen)))
    return 0


def _check_sources(parsed: argparse.Namespace) -> None:
    if parsed.texts is not None and parsed.tokenizer is None:
        raise PlanError("--texts needs --tokenizer, the tokenizer.json of the model")
    if parsed.tokenizer is not None and parsed.texts is None:
        raise PlanError("--tokenizer counts the tokens of --texts, which is not given")
    if parsed.model is not None and parsed.url is None:
        raise PlanError("--model chooses among those of --from, which is not given")


def _recorded(parsed: argparse.Namespace, options: PlanOptions) -> tuple[LengthSample, PlanOptions]:
    """Return what a server has recorded, and the options with the cost that it has measured. Raises PlanError."""
    try:
        text = _fetched(parsed.url)
        model = recorded_model(text, parsed.model)
        sample = read_recorded(text, model)
    except PlanError as error:
        raise PlanError(f"{parsed.url}: {error}") from error
    cost = None if chooses_cost(parsed) else fitted(read_costs(text, model))
    return sample, options if cost is None else replace(options, cost=cost)


def _given(parsed: argparse.Namespace) -> LengthSample:
    if parsed.texts is None:
        with _opened(parsed.lengths) as file:
            return read_lengths(file, "stdin" if parsed.lengths == "-" else parsed.lengths, parsed.max_length)
    with _opened(parsed.texts) as file:
        return read_texts(file, parsed.tokenizer, parsed.max_length)


@contextmanager
def _opened(name: str) -> Iterator[TextIO]:
    """Open a file, or stdin if it is `-`. Raises PlanError if it cannot be read as text."""
    try:
        if name == "-":
            yield sys.stdin
        else:
            with Path(name).open(encoding="utf-8") as file:
                yield file
    except OSError as error:
        raise PlanError(f"cannot read {name}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise PlanError(f"{name} is not UTF-8 text: {error.reason}") from error


def _fetched(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise PlanError("expected a URL as http://HOST:8002/metrics")
    try:
        with urllib.request.urlopen(url, timeout=_FETCH_SECONDS) as answer:
            text: bytes = answer.read()
    except urllib.error.HTTPError as error:
        raise PlanError(f"the server answered {error.code} {error.reason}") from error
    except (OSError, HTTPException, ValueError) as error:
        raise PlanError(f"cannot be read: {getattr(error, 'reason', error)}") from error
    return text.decode(errors="replace")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        raise PlanError(f"--json: cannot write {path}: {error.strerror or error}") from error


def _chosen(found: Plan, lengths: int | None) -> Proposal:
    if lengths is None:
        return found.recommended
    if not 1 <= lengths <= len(found.proposals):
        raise PlanError(f"--choose must be 1 to {len(found.proposals)}, the proposals that there are, got {lengths}")
    return found.proposals[lengths - 1]


def _report(found: Plan, chosen: Proposal) -> list[str]:
    sample, best, options = found.sample, found.recommended, found.options
    batches = ",".join(map(str, best.batches))
    flags = atc_flags(options.inputs, chosen.batches, chosen.lengths)
    gears = gears_parameter(chosen.batches, chosen.lengths)
    return [
        f"sample: {sample.total_rows} rows of {sample.tokens / sample.total_rows:.1f} tokens on average, at most "
        f"{sample.lengths[-1]}; half have at most {sample.quantile(0.5)}, 99 % at most {sample.quantile(0.99)}",
        f"batches: {batches}; {options.max_gears} gears leave room for {options.max_lengths} lengths",
        f"cost of an execution: {options.cost}",
        table(HEAD, rows(found)),
        f"* recommended: the fewest lengths that cost at most {options.tolerance:.0%} more than the best",
        "",
        f"flags for atc, for {','.join(map(str, chosen.lengths))}:",
        *(f"  {shlex.quote(flag)}" for flag in flags),
        "config.pbtxt:",
        f"  max_batch_size: {chosen.batches[-1]}",
        "config.pbtxt of an ONNX model, also:",
        f'  parameters {{ key: "gears" value {{ string_value: "{gears}" }} }}',
    ]
