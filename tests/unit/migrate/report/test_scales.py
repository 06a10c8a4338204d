import pytest
from hypothesis import given
from hypothesis import strategies as st
from npuserve.migrate.report.scales import linear, logarithmic

values = st.lists(st.floats(min_value=1e-9, max_value=1e9, allow_nan=False), min_size=1, max_size=20)


@given(values)
def test_a_linear_scale_holds_its_values_between_its_ends(given_values: list[float]) -> None:
    scale = linear(given_values, 0, 100)
    assert scale.low <= min(given_values)
    assert scale.high >= max(given_values)
    assert 2 <= len(scale.ticks) <= 8
    assert all(scale.low <= tick <= scale.high * (1 + 1e-9) for tick in scale.ticks)
    places = [scale(value) for value in sorted(given_values)]
    assert places == sorted(places)
    assert all(0 <= place <= 100 for place in places)


@given(values)
def test_a_logarithmic_scale_holds_its_values_between_its_ends(given_values: list[float]) -> None:
    scale = logarithmic(given_values, 100, 0)
    assert scale.low <= min(given_values) * (1 + 1e-6)
    assert scale.high >= max(given_values) * (1 - 1e-6)
    assert 2 <= len(scale.ticks) <= 9
    assert all(-1e-6 <= scale(value) <= 100 + 1e-6 for value in given_values)


def test_ends_and_ticks_are_round() -> None:
    assert linear([3.0, 52.3], 0, 1).ticks == [0, 10, 20, 30, 40, 50, 60]
    assert logarithmic([14.0, 71.0], 0, 1).ticks == [10, 20, 50, 100]


@pytest.mark.parametrize("given_values", [[0.0], [5.0, 5.0], [-1.0, 1.0], [0.0, 0.0]])
def test_values_without_a_span_have_a_scale_too(given_values: list[float]) -> None:
    assert linear(given_values, 0, 1).high > linear(given_values, 0, 1).low
    assert logarithmic(given_values, 0, 1).high > logarithmic(given_values, 0, 1).low
