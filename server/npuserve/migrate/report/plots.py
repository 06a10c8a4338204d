"""Which figures are drawn, and how. A figure that is not there, or is of another make, is not drawn."""

from collections.abc import Mapping, Sequence
from typing import Any

from npuserve.migrate.report.chart import SERIES, X_ENDS, Y_ENDS, Chart
from npuserve.migrate.report.document import Plot
from npuserve.migrate.report.figures import Row, numbers_of, pairs_of, rows_of
from npuserve.migrate.report.numbers import shown
from npuserve.migrate.report.scales import Scale, linear, logarithmic
from npuserve.migrate.report.words import Words

_MOST_BARS = 40
# Of p99 between concurrencies: beyond, the small ones would lie on the axis.
_LOG_FROM = 15


def latency_cdf(figures: Mapping[str, Any], words: Words) -> list[Plot]:
    """Draw the shares of requests by latency, a line a server and concurrency."""
    rows = [row for row in rows_of(figures, "cdf") if pairs_of(row, "points")]
    if len(rows) > SERIES:
        most = max(row.get("concurrency", 0) for row in rows)
        rows = [row for row in rows if row.get("concurrency", 0) == most][:SERIES]
    if not rows:
        return []
    caption = words("Latencies of requests: the share that took at most so long")
    chart = Chart(
        title=caption,
        x=logarithmic([latency for row in rows for latency, _ in pairs_of(row, "points")], *X_ENDS),
        y=Scale(low=0, high=1, start=Y_ENDS[0], end=Y_ENDS[1]),
        x_label=words("latency in ms"),
        y_label=words("share of requests"),
    )
    for series, row in enumerate(rows):
        name = words(
            "{server}, {concurrency} at once",
            server=words(str(row.get("server", ""))),
            concurrency=row.get("concurrency"),
        )
        chart.line(name, pairs_of(row, "points"), series, markers=False)
    chart.level(0.99, "P99")
    return [Plot("latency_cdf", chart.svg(), caption)]


def throughput_p99(figures: Mapping[str, Any], words: Words) -> list[Plot]:
    """Draw p99 over throughput, a line a server, its points by concurrency."""
    by_server: dict[str, list[list[float]]] = {}
    for row in rows_of(figures, "load"):
        if values := numbers_of(row, "concurrency", "qps", "p99_ms"):
            by_server.setdefault(str(row.get("server", "")), []).append(values)
    points = [values for each in by_server.values() for values in each]
    if not points:
        return []
    caption = words("Throughput and p99; the numbers are requests in flight")
    tails = [tail for _, _, tail in points]
    wide = min(tails) > 0 and max(tails) / min(tails) > _LOG_FROM
    chart = Chart(
        title=caption,
        x=linear([qps for _, qps, _ in points], *X_ENDS),
        y=logarithmic(tails, *Y_ENDS) if wide else linear(tails, *Y_ENDS),
        x_label=words("requests a second"),
        y_label=words("p99 in ms"),
    )
    for series, (server, loads) in enumerate(by_server.items()):
        ordered = sorted(loads)
        chart.line(words(server), [(qps, tail) for _, qps, tail in ordered], series)
        chart.texts([(qps, tail, shown(concurrency)) for concurrency, qps, tail in ordered])
    return [Plot("throughput_p99", chart.svg(), caption)]


def error_by_layer(figures: Mapping[str, Any], words: Words) -> list[Plot]:
    """Draw the error of each layer in the order of the graph; the first bad one is told apart."""
    rows = rows_of(figures, "error_by_depth")
    layers = [(row, values[0]) for row in rows if (values := numbers_of(row, "relative"))]
    if not layers or not any(error > 0 for _, error in layers):
        return []
    caption = words("Error by layer, in the order of the graph")
    bad = figures.get("first_bad_layer")
    first_bad = bad.get("name") if isinstance(bad, Mapping) else None
    marked = next((place for place, (row, _) in enumerate(layers) if row.get("name") == first_bad), None)
    chart = Chart(
        title=caption,
        x=Scale(low=0, high=len(layers) + 1, start=X_ENDS[0], end=X_ENDS[1]),
        y=logarithmic([error for _, error in layers], *Y_ENDS),
        x_label=words("layer"),
        y_label=words("relative error of the layer"),
    )
    stems = [(float(place), error, _layer_text(row, error)) for place, (row, error) in enumerate(layers, start=1)]
    chart.stems(stems, 0, marked)
    if marked is not None:
        chart.upright(marked + 1.0, str(first_bad))
    return [Plot("error_by_layer", chart.svg(), caption)]


def length_histogram(figures: Mapping[str, Any], gears: Sequence[float], words: Words) -> list[Plot]:
    """Draw how many samples have which length, and the lengths that are compiled."""
    lengths = [(length, rows) for length, rows in pairs_of(figures, "lengths") if length > 0 and rows > 0]
    if not lengths:
        return []
    caption = words("How long the samples are; dashed: the compiled lengths")
    longest = max([length for length, _ in lengths] + list(gears))
    width = max(1.0, float(-(-longest // _MOST_BARS)))
    heights: dict[int, float] = {}
    for length, rows in lengths:
        # A bar holds the lengths above its left end, up to its right one.
        heights[int((length - 1) // width)] = heights.get(int((length - 1) // width), 0) + rows
    chart = Chart(
        title=caption,
        x=linear([0, longest], *X_ENDS),
        y=linear(list(heights.values()), *Y_ENDS),
        x_label=words("length in tokens"),
        y_label=words("samples"),
    )
    chart.bars([(place * width, (place + 1) * width, height) for place, height in sorted(heights.items())], 0)
    for length in gears:
        chart.upright(length, shown(length))
    return [Plot("length_histogram", chart.svg(), caption)]


def padding_waste(figures: Mapping[str, Any], words: Words) -> list[Plot]:
    """Draw the share of padding by the number of lengths; the chosen number has a line."""
    rows = [(row, values[0]) for row in rows_of(figures, "padding") if (values := numbers_of(row, "waste"))]
    if len(rows) < 2:
        return []
    caption = words("Padding wasted by the number of compiled lengths")
    chart = Chart(
        title=caption,
        x=Scale(low=0, high=len(rows) + 1, start=X_ENDS[0], end=X_ENDS[1]),
        y=linear([waste for _, waste in rows], *Y_ENDS),
        x_label=words("number of lengths"),
        y_label=words("share of padding"),
        x_ticks=[(float(place), str(place)) for place in range(1, len(rows) + 1)],
    )
    chart.line(words("waste"), [(float(place), waste) for place, (_, waste) in enumerate(rows, start=1)], 0)
    for place, (row, _) in enumerate(rows, start=1):
        if row.get("chosen"):
            chart.upright(place, words("chosen"))
    return [Plot("padding_waste", chart.svg(), caption)]


def _layer_text(row: Row, error: float) -> str:
    return f"{row.get('name', '')} ({row.get('kind', '')}): {shown(error)}"
