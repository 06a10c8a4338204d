import math

import pytest
from npuserve.observability.exposition import Family, Sample, histogram, render
from support.prometheus import parse_metrics


def test_a_family_is_help_type_and_samples() -> None:
    family = Family(name="n", kind="counter", help="What it is", samples=[Sample({"b": "2", "a": "1"}, 3)])
    assert render([family]) == b'# HELP n What it is\n# TYPE n counter\nn{a="1",b="2"} 3\n'


def test_a_family_without_samples_is_left_out() -> None:
    assert render([Family(name="n", kind="gauge", help="")]) == b""


def test_equally_named_families_stand_together() -> None:
    first, second = (Family(name="n", kind="gauge", help="h", samples=[Sample({"m": text}, 1)]) for text in "ab")
    other = Family(name="o", kind="gauge", help="h", samples=[Sample({}, 1)])
    metrics = parse_metrics(render([first, other, second]).decode())
    assert len(metrics["n"].samples) == 2


@pytest.mark.parametrize("text", ['quote"', "back\\slash", "line\nbreak", "\\n", "ümlaut", "a,b={}"])
def test_label_values_are_escaped(text: str) -> None:
    metrics = parse_metrics(
        render([Family(name="n", kind="gauge", help=text, samples=[Sample({"l": text}, 1)])]).decode()
    )
    assert metrics["n"].value("n", l=text) == 1


@pytest.mark.parametrize(
    ("value", "printed"),
    [(2**60, b"1152921504606846976"), (1.0, b"1"), (0.25, b"0.25"), (math.inf, b"+Inf"), (-math.inf, b"-Inf"),
     (math.nan, b"NaN"), (1e300, b"1e+300")],
)  # fmt: skip
def test_numbers_are_as_prometheus_reads_them(value: float, printed: bytes) -> None:
    assert render([Family(name="n", kind="gauge", help="", samples=[Sample({}, value)])]).endswith(
        b"n " + printed + b"\n"
    )


def test_the_buckets_of_a_histogram_are_cumulative() -> None:
    family = Family(name="h", kind="histogram", help="", samples=histogram({"m": "x"}, (1, 2.5), (3, 0, 4), 17.5))
    metric = parse_metrics(render([family]).decode())["h"]
    assert [metric.value("h_bucket", m="x", le=bound) for bound in ("1", "2.5", "+Inf")] == [3, 3, 7]
    assert (metric.value("h_count", m="x"), metric.value("h_sum", m="x")) == (7, 17.5)
