"""A shadow's metrics: `npu_shadow_*`."""

from collections.abc import Iterator, Mapping
from typing import Any

from npuserve.migrate.shadow.latencies import BOUNDS_MS
from npuserve.migrate.shadow.tally import COSINE_BOUNDS
from npuserve.observability.exposition import Family, Sample, histogram

DROPPED = {"full": "queue_full", "too_large": "too_large"}
SKIPPED = ("sequence", "decoupled", "shared_memory", "stream", "unanswered")


def shadow_families(snapshot: Mapping[str, Any], counts: Mapping[str, int], *, running: bool) -> list[Family]:
    """Return the families. snapshot: of the shadow's process, empty before its first. counts: of the ring."""
    up = running and bool(snapshot.get("up"))
    return [
        _family("up", "gauge", "1 if the shadow runs and reaches the reference", [Sample({}, int(up))]),
        *_tap(counts),
        *_models(snapshot.get("models", {})),
    ]


def _tap(counts: Mapping[str, int]) -> Iterator[Family]:
    if not counts:
        return
    dropped = [Sample({"reason": reason}, counts[name]) for name, reason in DROPPED.items()]
    skipped = [Sample({"reason": reason}, counts[reason]) for reason in SKIPPED]
    yield _family("seen_total", "counter", "Live requests of which the share was taken", [Sample({}, counts["seen"])])
    yield _family("queued_total", "counter", "Requests handed to the shadow", [Sample({}, counts["written"])])
    yield _family("dropped_total", "counter", "Requests that found no room on their way to the shadow", dropped)
    yield _family("skipped_total", "counter", "Requests of the share that cannot be repeated", skipped)
    copied = [Sample({}, counts["write_ns"] / 1e3)]
    yield _family("copy_us_total", "counter", "Time that copying took the live server", copied)


def _models(models: Mapping[str, Any]) -> Iterator[Family]:
    yield _counter("mirrored_total", "Requests repeated at the reference", models, "mirrored")
    yield _counter("compared_total", "Requests that both servers answered", models, "compared")
    for name, text in (("disagreed", "Answers that disagree"), ("failed", "Requests the reference did not answer")):
        samples = [
            Sample({"model": model, "reason": reason}, count)
            for model, found in models.items()
            for reason, count in found[name].items()
        ]
        yield _family(f"{name}_total", "counter", text, samples)
    cosines = [
        sample
        for model, found in models.items()
        if "cosine_min" in found
        for sample in histogram({"model": model}, COSINE_BOUNDS, found["cosine_buckets"], found["cosine_sum"])
    ]
    yield _family("cosine", "histogram", "The least cosine of each compared answer", cosines)
    least = [Sample({"model": model}, found["cosine_min"]) for model, found in models.items() if "cosine_min" in found]
    yield _family("cosine_min", "gauge", "The least cosine of all compared answers", least)
    yield _counter("max_abs_error", "The largest error of any element", models, "max_abs_error", kind="gauge")
    for name, text in (
        ("argmax_rows", "Rows that have a largest element"),
        ("argmax_agreed_rows", "Rows whose largest element is the same"),
    ):
        samples = [
            Sample({"model": model, "output": output}, values[name])
            for model, found in models.items()
            for output, values in found["outputs"].items()
            if name in values
        ]
        yield _family(f"{name}_total", "counter", text, samples)
    for side, text in (("live", "in the live server"), ("reference", "at the reference, as the shadow sees it")):
        samples = [
            sample
            for model, found in models.items()
            for sample in histogram({"model": model}, BOUNDS_MS, found[side]["buckets"], found[side]["sum_ms"])
        ]
        yield _family(f"{side}_latency_ms", "histogram", f"Time of compared requests {text}", samples)


def _counter(name: str, text: str, models: Mapping[str, Any], key: str, kind: str = "counter") -> Family:
    return _family(name, kind, text, [Sample({"model": model}, found[key]) for model, found in models.items()])


def _family(name: str, kind: str, text: str, samples: list[Sample]) -> Family:
    return Family(name=f"npu_shadow_{name}", kind=kind, help=text, samples=samples)
