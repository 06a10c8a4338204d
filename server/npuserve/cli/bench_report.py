"""What `npuserve bench` shows: a line while it measures, a table in the end."""

import math
from collections.abc import Sequence

from npuserve.cli.tables import table
from npuserve.migrate.load import LoadReport, Progress

_HEAD = ("load", "requests/s", "rows/s", "P50 ms", "P95 ms", "P99 ms", "max ms", "failed")
_MESSAGE_CHARACTERS = 200


def as_table(reports: Sequence[LoadReport]) -> list[str]:
    """Return a row a load, then its errors by status, then what to be wary of."""
    lines = [table(_HEAD, [_row(report) for report in reports])]
    for report in reports:
        for failure in report.measured.failures:
            message = " ".join(failure.message.split())[:_MESSAGE_CHARACTERS]
            lines.append(f"{report.load}: {failure.count} × {failure.status}: {message}")
        if report.unanswered:
            lines.append(f"{report.load}: {report.unanswered} requests were not answered within 2 s of the end")
    return [*lines, *(f"warning: {warning}" for report in reports for warning in report.warnings)]


def live_line(load: str, progress: Progress) -> str:
    """Return the latest numbers in one line."""
    latest = progress.latest
    where = f"window {progress.window} of at most {progress.max_windows}" if progress.window else "warming up"
    p50, p99 = (_number(latest.latency.quantile_ns(share) / 1e6) for share in (0.5, 0.99))
    failed = f", {latest.failed} failed" if latest.failed else ""
    return f"{load}: {where}: {latest.throughput:,.0f} requests/s, P50 {p50} ms, P99 {p99} ms{failed}"


def _row(report: LoadReport) -> tuple[str, ...]:
    latency = report.measured.latency
    longest = latency.max_ns / 1e6 if latency.total else math.nan
    times = (report.latency_ms(50), report.latency_ms(95), report.latency_ms(99), longest)
    return (
        report.load,
        f"{report.throughput:,.1f}",
        f"{report.rows_per_second:,.1f}",
        *(_number(value) for value in times),
        f"{report.measured.failed:,}",
    )


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}" if value < 100 else f"{value:,.0f}"
