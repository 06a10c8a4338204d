"""Percentiles within the documented precision, and merging without any loss."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from npuserve._load import BUCKETS, bucket_of
from npuserve.migrate.load.histogram import Histogram

LONGEST_NS = (1 << 42) - 1
durations = st.lists(st.integers(0, LONGEST_NS), min_size=1, max_size=200)


@given(durations, st.floats(0, 1))
def test_a_percentile_is_the_exact_one_or_less_than_a_512th_above(values: list[int], share: float) -> None:
    exact = sorted(values)[max(1, math.ceil(share * len(values))) - 1]
    assert exact <= Histogram.of(values).quantile_ns(share) <= exact * (1 + 1 / 512)


@given(durations, durations)
def test_histograms_of_two_processes_add_up_to_that_of_both(left: list[int], right: list[int]) -> None:
    merged = Histogram.merged([Histogram.of(left), Histogram.of(right)])
    whole = Histogram.of(left + right)
    assert np.array_equal(merged.counts, whole.counts)
    assert (merged.min_ns, merged.max_ns, merged.sum_ns) == (whole.min_ns, whole.max_ns, whole.sum_ns)


@given(durations)
def test_the_steps_hold_every_value_once_and_end_at_the_longest(values: list[int]) -> None:
    steps = Histogram.of(values).steps()
    assert sum(count for _, count in steps) == len(values)
    assert steps[-1][0] == max(values)
    assert [value for value, _ in steps] == sorted(value for value, _ in steps)


def test_the_longest_and_the_mean_are_exact() -> None:
    histogram = Histogram.of([1_000_001, 2_000_002, 9_999_999])
    assert histogram.quantile_ns(1.0) == 9_999_999
    assert histogram.mean_ns == pytest.approx(13_000_002 / 3)


def test_an_empty_one_has_no_percentiles_and_does_not_pull_others_down() -> None:
    empty = Histogram.of([])
    assert math.isnan(empty.quantile_ns(0.5))
    assert math.isnan(empty.mean_ns)
    assert Histogram.merged([empty, Histogram.of([7])]).min_ns == 7


def test_what_the_native_client_counted_is_read_at_its_place() -> None:
    first = bucket_of(3_000_000)
    counts = np.array([2, 0, 1], np.uint64).tobytes()
    fields = {"first": first, "counts": counts, "min_ns": 1, "max_ns": 2, "sum_ns": 3}
    histogram = Histogram.of_fields(fields)  # type: ignore[arg-type]  # a dict of these fields
    assert histogram.counts.size == BUCKETS
    assert list(histogram.counts[first : first + 3]) == [2, 0, 1]
    assert histogram.total == 3
