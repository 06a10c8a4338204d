"""The operator check as a table, as JSON and as figures of the report."""

from typing import Any

from npuserve.migrate.compile.operators import OperatorReport, OperatorRow

HEAD = ("operator", "domain", "opset", "count", "status", "emulator", "what to do")


def cells(report: OperatorReport) -> list[tuple[str, ...]]:
    """Return the rows under HEAD."""
    return [_cells(row) for row in report.rows]


def text_table(report: OperatorReport) -> str:
    """Return the check as text, the source above the table."""
    drawn = [HEAD, *cells(report)]
    widths = [max(len(row[column]) for row in drawn) for column in range(len(HEAD))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in drawn]
    lines.insert(1, "  ".join("-" * width for width in widths))
    head = f"operators of {report.soc_version}, CANN {report.version}, from {report.source}"
    return "\n".join([head, *lines, summary(report), ""])


def summary(report: OperatorReport) -> str:
    """Return the check in one sentence."""
    total, types = sum(row.count for row in report.rows), len(report.rows)
    bad = report.unsupported
    if not bad:
        return f"{types} operators, {total} nodes: all supported"
    named = ", ".join(f"{row.full_name} ({row.count})" for row in bad)
    return f"{types} operators, {total} nodes: {len(bad)} not supported: {named}"


def as_json(report: OperatorReport) -> dict[str, Any]:
    """Return everything."""
    return {
        "soc_version": report.soc_version,
        "source": report.source,
        "cann_version": report.version,
        "operators": [_object(row) for row in report.rows],
        "unsupported": [row.full_name for row in report.unsupported],
        "unknown_to_emulator": [row.full_name for row in report.unknown_to_emulator],
    }


def figure_rows(report: OperatorReport) -> list[dict[str, Any]]:
    """Return the rows of the report's table."""
    return [
        {
            "operator": row.name,
            "domain": row.domain or "ai.onnx",
            "opset": row.opset,
            "count": row.count,
            "status": row.status,
            "remedy": _told(row),
        }
        for row in report.rows
    ]


def _cells(row: OperatorRow) -> tuple[str, ...]:
    domain = row.domain or "ai.onnx"
    return row.name, domain, str(row.opset), str(row.count), row.status, "yes" if row.emulator else "no", _told(row)


def _told(row: OperatorRow) -> str:
    return "; ".join(part for part in (row.reason, row.advice) if part)


def _object(row: OperatorRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "domain": row.domain or "ai.onnx",
        "opset": row.opset,
        "count": row.count,
        "status": row.status,
        "reason": row.reason,
        "advice": row.advice,
        "emulator": row.emulator,
    }
