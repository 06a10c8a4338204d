"""Errors between two tensors, against what can be counted by hand."""

import json

import numpy as np
import pytest
from npuserve.migrate.compare.difference import BROKEN, difference
from support.models import Array


def numbers(*values: float) -> Array:
    return np.array(values, np.float32)


def test_equal_tensors_have_no_error() -> None:
    found = difference(numbers(1, -2, 0), numbers(1, -2, 0), "float32")
    assert found.cosine == pytest.approx(1)
    assert (found.max_abs, found.mean_abs, found.relative) == (0, 0, 0)
    assert found.ulps["0"] == 3


def test_errors_are_those_of_the_definition() -> None:
    found = difference(numbers(1, 2, 3, 0.5), numbers(1, 2, 4, 0), "float32")
    assert found.max_abs == 1
    assert found.mean_abs == pytest.approx(1.5 / 4)
    assert found.relative == pytest.approx(np.sqrt((1 + 0.25) / (1 + 4 + 16)))
    assert found.max_relative == pytest.approx(0.25)
    assert found.mean_relative == pytest.approx(0.25 / 3)
    assert found.cosine == pytest.approx((1 + 4 + 12) / np.sqrt(14.25 * 21))


@pytest.mark.parametrize(("kind", "step"), [("float16", 2.0**-10), ("bfloat16", 2.0**-7), ("float32", 2.0**-23)])
def test_steps_are_those_of_the_target_type(kind: str, step: float) -> None:
    expected = numbers(1, 1, 1, 1, 1)
    actual = (1 + step * np.array([0, 1, 2, 3, 5000])).astype(np.float32)
    found = difference(actual, expected, kind)  # type: ignore[arg-type]  # one of the three
    counts = {label: count for label, count in found.ulps.items() if count}
    # 5000 steps of a narrow type leave the range between 1 and 2, where they are as long as at 1.
    assert [counts.pop(label) for label in ("0", "1", "2", "3-4")] == [1, 1, 1, 1]
    assert sum(counts.values()) == 1


def test_steps_go_through_zero() -> None:
    smallest = 2.0**-24
    found = difference(numbers(-smallest, -0.0), numbers(smallest, 0.0), "float16")
    assert (found.ulps["2"], found.ulps["0"]) == (1, 1)


def test_what_is_not_finite_is_broken_unless_it_should_be_so() -> None:
    infinite = difference(numbers(np.inf, 1), numbers(5, 1), "float16")
    assert (infinite.broken, infinite.relative, infinite.cosine) == (1, BROKEN, 0)
    right = difference(numbers(-np.inf, 1), numbers(-np.inf, 1), "float16")
    assert (right.broken, right.relative) == (0, 0)
    assert difference(numbers(np.nan), numbers(1), "float16").broken == 1


def test_everything_is_plain_json() -> None:
    found = difference(numbers(1, np.nan), numbers(0, 1), "float32")
    assert json.loads(json.dumps(found.as_json(), allow_nan=False))["relative"] == BROKEN
