"""Latencies in the log-linear buckets that native/load/histogram.h documents: off by less than one part in 512."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from npuserve._load import BUCKETS, PRECISION_BITS, bucket_of

if TYPE_CHECKING:
    from npuserve._load import HistogramFields

_HALF = 1 << (PRECISION_BITS - 1)

Counts = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Durations in ns. counts: [BUCKETS]; the extremes and the sum are exact, 0 if it is empty."""

    counts: Counts
    min_ns: int
    max_ns: int
    sum_ns: int

    @classmethod
    def of(cls, values_ns: Iterable[int]) -> "Histogram":
        """Return the histogram of these values."""
        values = list(values_ns)
        counts = np.zeros(BUCKETS, np.uint64)
        np.add.at(counts, [bucket_of(value) for value in values], np.uint64(1))
        return cls(counts, min(values, default=0), max(values, default=0), sum(values))

    @classmethod
    def of_fields(cls, fields: "HistogramFields") -> "Histogram":
        """Return what the native client has counted."""
        counts = np.zeros(BUCKETS, np.uint64)
        part = np.frombuffer(fields["counts"], np.uint64)
        counts[fields["first"] : fields["first"] + part.size] = part
        return cls(counts, fields["min_ns"], fields["max_ns"], fields["sum_ns"])

    @classmethod
    def merged(cls, parts: Iterable["Histogram"]) -> "Histogram":
        """Return all of them together; exact, as they share their buckets."""
        given = list(parts)
        used = [part for part in given if part.total]
        return cls(
            sum((part.counts for part in used), np.zeros(BUCKETS, np.uint64)),
            min((part.min_ns for part in used), default=0),
            max((part.max_ns for part in used), default=0),
            sum(part.sum_ns for part in used),
        )

    @property
    def total(self) -> int:
        """How many values."""
        return int(self.counts.sum())

    @property
    def mean_ns(self) -> float:
        """Exact; NaN if it is empty."""
        return self.sum_ns / self.total if self.total else math.nan

    def quantile_ns(self, share: float) -> float:
        """Return the least value that so large a share of all does not exceed, rounded up to its bucket's end.

        NaN if it is empty.
        """
        total = self.total
        if not total:
            return math.nan
        rank = min(total, max(1, math.ceil(share * total)))
        bucket = int(np.searchsorted(np.cumsum(self.counts), rank))
        return min(float(_last_of(bucket)), float(self.max_ns))

    def steps(self) -> list[tuple[int, int]]:
        """Return the largest value and the count of each bucket that has any: what a distribution is drawn from."""
        used = np.flatnonzero(self.counts)
        return [(min(_last_of(int(bucket)), self.max_ns), int(self.counts[bucket])) for bucket in used]


def _last_of(bucket: int) -> int:
    """Return the largest value that the bucket counts; the inverse of `bucket_of`."""
    shift = max(0, bucket // _HALF - 1)
    return ((bucket - shift * _HALF + 1) << shift) - 1
