"""The measurement: warm up, count in windows until they agree, tell of the last ones."""

import math
from collections.abc import Callable
from statistics import fmean

from npuserve.migrate.errors import MigrationError
from npuserve.migrate.load.client_process import SLICE_NS
from npuserve.migrate.load.client_processes import ClientProcesses
from npuserve.migrate.load.exchange import End
from npuserve.migrate.load.first_request import send_first
from npuserve.migrate.load.interface import ModelInterface, describe
from npuserve.migrate.load.options import LoadOptions
from npuserve.migrate.load.report import LoadReport, Progress, Window
from npuserve.migrate.load.requests import prepared, read_answer
from npuserve.migrate.load.windows import AGREEING, agree, joined, window_of

Tell = Callable[[Progress], None]


def measure(options: LoadOptions, tell: Tell | None = None) -> LoadReport:
    """Load the server and return what its clients saw. Blocks; `tell` is called four times a second.

    Raises MigrationError if the server cannot be reached, or refuses the first request.
    """
    model = describe(
        options.url, options.model, version=options.version, protocol=options.protocol, fields=options.fields
    )
    if model.is_decoupled:
        raise MigrationError(f"model '{model.name}' is decoupled: only models of one answer a request can be measured")
    requests = prepared(options, model)
    send_first(options, requests[0])
    with ClientProcesses(options, requests) as processes:
        windows = _windows(options, processes, tell or _silent)
        ends = processes.stop()
    return _report(options, model, windows, ends)


def _windows(options: LoadOptions, processes: ClientProcesses, tell: Tell) -> list[Window]:
    for _ in range(_slices(options.warmup_seconds)):
        latest = window_of(processes.slices())
        tell(Progress(window=0, max_windows=options.max_windows, latest=latest))
    windows: list[Window] = []
    while len(windows) < options.max_windows and not agree(windows, options.stability):
        parts = []
        for _ in range(max(1, _slices(options.window_seconds))):
            parts.append(window_of(processes.slices()))
            tell(Progress(window=len(windows) + 1, max_windows=options.max_windows, latest=parts[-1]))
        windows.append(joined(parts))
    return windows


def _slices(seconds: float) -> int:
    return math.ceil(round(seconds * 1e9 / SLICE_NS, 6))


def _report(options: LoadOptions, model: ModelInterface, windows: list[Window], ends: list[End]) -> LoadReport:
    answers = {number: body for end in ends for number, body in end.answers.items()}
    try:
        read = {number: read_answer(options.protocol, answers[number]) for number in sorted(answers)}
    except (ValueError, KeyError, TypeError) as error:
        raise MigrationError(f"an answer of model '{model.name}' cannot be read: {error}") from error
    return LoadReport(
        model=options.model,
        protocol=options.protocol,
        concurrency=options.concurrency if options.request_rate is None else None,
        request_rate=options.request_rate,
        processes=options.processes,
        connections=options.total_connections,
        rows=_rows(options, model),
        measured=joined(windows[-AGREEING:]),
        windows=tuple(windows),
        stable=agree(windows, options.stability),
        unanswered=sum(end.unanswered for end in ends),
        answers=read,
    )


def _rows(options: LoadOptions, model: ModelInterface) -> float:
    if not model.batches:
        return 1.0
    return fmean(len(next(iter(sample.values()))) for sample in options.samples)


def _silent(progress: Progress) -> None:
    """Tell nobody."""
