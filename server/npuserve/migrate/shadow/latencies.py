"""Latencies that are counted one by one."""

from typing import Any

import numpy as np

from npuserve._load import BUCKETS, bucket_of
from npuserve.migrate.load.histogram import Histogram

BOUNDS_MS = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 250.0, 1000.0, 5000.0)
"""Of the metrics' histograms."""

_QUANTILES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}


class Latencies:
    """How long requests took, for the quantiles of the report and the histogram of the metrics."""

    def __init__(self) -> None:
        self._counts = np.zeros(BUCKETS, np.uint64)
        self._coarse = [0] * (len(BOUNDS_MS) + 1)
        self._total = self._min_ns = self._max_ns = self._sum_ns = 0

    def add(self, ns: int) -> None:
        """Count one."""
        self._counts[bucket_of(ns)] += np.uint64(1)
        self._coarse[sum(bound < ns / 1e6 for bound in BOUNDS_MS)] += 1
        self._min_ns = min(self._min_ns, ns) if self._total else ns
        self._max_ns = max(self._max_ns, ns)
        self._sum_ns += ns
        self._total += 1

    def as_json(self) -> dict[str, Any]:
        """Return count, mean, extremes and quantiles, and the buckets of BOUNDS_MS, each alone."""
        histogram = Histogram(self._counts, self._min_ns, self._max_ns, self._sum_ns)
        told: dict[str, Any] = {"count": self._total, "sum_ms": self._sum_ns / 1e6, "buckets": list(self._coarse)}
        if self._total:
            told |= {"mean_ms": histogram.mean_ns / 1e6, "max_ms": self._max_ns / 1e6}
            told |= {name: histogram.quantile_ns(share) / 1e6 for name, share in _QUANTILES.items()}
        return told
