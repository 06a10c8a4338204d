"""A strict reader of Prometheus' text format 0.0.4, written from its description, not from our writer."""

import re
from dataclasses import dataclass, field

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_SAMPLE = re.compile(rf"({_NAME})(?:\{{(.*)\}})? (\S+)$")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)')
_KINDS = {"counter", "gauge", "histogram", "summary", "untyped"}
_SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("", "_sum", "_count")}
_ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}

Labels = tuple[tuple[str, str], ...]


@dataclass
class Metric:
    """A family: its kind, and its samples by full name and sorted labels."""

    kind: str
    help: str
    samples: dict[tuple[str, Labels], float] = field(default_factory=dict)

    def value(self, name: str, **labels: str) -> float:
        return self.samples[name, tuple(sorted(labels.items()))]


def parse_metrics(text: str) -> dict[str, Metric]:
    """Return the families by name; fail on anything that the format does not allow, or a histogram that is none."""
    assert text.endswith("\n")
    metrics: dict[str, Metric] = {}
    helps: dict[str, str] = {}
    current = ""
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name, _, helps_text = line.removeprefix("# HELP ").partition(" ")
            assert name not in helps, f"second HELP of {name}"
            helps[name] = helps_text
        elif line.startswith("# TYPE "):
            current, kind = line.removeprefix("# TYPE ").split(" ")
            assert current not in metrics, f"second TYPE of {current}"
            assert kind in _KINDS
            metrics[current] = Metric(kind, helps[current])
        else:
            _add_sample(metrics[current], current, line)
    for name, metric in metrics.items():
        assert metric.samples, f"{name} has no samples"
        if metric.kind == "histogram":
            _check_histogram(name, metric)
    return metrics


def _add_sample(metric: Metric, family: str, line: str) -> None:
    match = _SAMPLE.match(line)
    assert match, line
    name, labels, value = match[1], _labels(match[2] or ""), match[3]
    assert name in {family + suffix for suffix in _SUFFIXES.get(metric.kind, ("",))}, f"{name} is not of {family}"
    key = (name, labels)
    assert key not in metric.samples, f"second sample: {line}"
    metric.samples[key] = float(value)


def _labels(text: str) -> Labels:
    position, labels = 0, {}
    while position < len(text):
        match = _LABEL.match(text, position)
        assert match, text
        assert match[1] not in labels
        labels[match[1]] = re.sub(r'\\[\\"n]', lambda escape: _ESCAPES[escape[0]], match[2])
        position = match.end()
    return tuple(sorted(labels.items()))


def _check_histogram(name: str, metric: Metric) -> None:
    """Buckets rise with their bounds, and the last, of infinity, has all that was counted."""
    series: dict[Labels, list[tuple[float, float]]] = {}
    for (sample, labels), value in metric.samples.items():
        if sample == f"{name}_bucket":
            rest = tuple(pair for pair in labels if pair[0] != "le")
            series.setdefault(rest, []).append((float(dict(labels)["le"]), value))
    assert series, f"{name} has no buckets"
    for labels, buckets in series.items():
        buckets.sort()
        counts = [count for _, count in buckets]
        assert counts == sorted(counts)
        assert buckets[-1] == (float("inf"), metric.samples[f"{name}_count", labels])
        assert (f"{name}_sum", labels) in metric.samples
