import math

import pytest
from npuserve.migrate.report.numbers import measured, shown, tick, unit_of


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0, "0"),
        (32, "32"),
        (1500.0, "1500"),
        (22713216, "22\N{THIN SPACE}713\N{THIN SPACE}216"),
        (1322.14, "1322"),
        (13.84, "13.84"),
        (0.9115, "0.9115"),
        (0.99999812, "0.99999812"),
        (0.999999, "0.999999"),
        (1 - 2e-12, "1 − 2.00e-12"),
        (4.1e-4, "4.10e-4"),
        (1.5e12 + 0.5, "1.50e12"),
        (-0.25, "-0.25"),
        (math.nan, "nan"),
        (math.inf, "inf"),
    ],
)
def test_four_digits_that_count_are_shown(value: float, text: str) -> None:
    assert shown(value) == text


def test_what_is_measured_has_a_point_and_what_is_counted_none() -> None:
    assert [measured(value) for value in (9.0, 9, 1500.0, 4.65)] == ["9.0", "9", "1500", "4.65"]


def test_ticks_are_short() -> None:
    assert [tick(value) for value in (0, 0.2, 0.001, 3e-5, 20.0)] == ["0", "0.2", "0.001", "3e-5", "20"]


def test_units_are_the_ends_of_names() -> None:
    assert unit_of("p50_ms") == ("p50", "ms")
    assert unit_of("onnx_bytes") == ("onnx", "bytes")
    assert unit_of("max_abs") == ("max abs", "")
    assert unit_of("_ms") == (" ms", "")
