"""Recorded lengths, from the text of a server's metrics."""

import pytest
from npuserve.migrate.errors import PlanError
from npuserve.migrate.recorded import read_recorded, recorded_model
from npuserve.migrate.sample import LengthSample
from npuserve.observability.exposition import Family, histogram, render

BOUNDS = (8.0, 16.0, 24.0)


def metrics(*models: tuple[dict[str, str], list[int], float]) -> str:
    """As a server tells them: labels, rows of each bucket and beyond the last, tokens."""
    samples = [sample for labels, rows, tokens in models for sample in histogram(labels, BOUNDS, rows, tokens)]
    families = [
        Family(name="npu_request_length", kind="histogram", help="Rows by length", samples=samples),
        Family(name="npu_batch_size", kind="histogram", help="x", samples=histogram({"model": "b"}, (1,), [2, 0], 2)),
    ]
    return render(families).decode()


def test_rows_are_as_long_as_their_bound_and_tokens_are_the_sum() -> None:
    text = metrics(({"model": "a", "version": "1"}, [3, 0, 1, 0], 40))
    assert read_recorded(text, "a") == LengthSample((8, 24), (3, 1), 40)
    assert recorded_model(text, None) == "a"


def test_versions_of_a_model_are_taken_together() -> None:
    first = ({"model": "a", "version": "1"}, [1, 0, 0, 0], 5.0)
    second = ({"model": "a", "version": "2", "_tag": 'q"\n\\'}, [1, 2, 0, 0], 30.0)
    assert read_recorded(metrics(first, second), "a") == LengthSample((8, 16), (2, 2), 35)


def test_a_models_name_may_have_any_characters() -> None:
    assert read_recorded(metrics(({"model": 'x",le="\\\n'}, [1, 0, 0, 0], 5)), 'x",le="\\\n').total_rows == 1


def test_one_of_several_models_must_be_named() -> None:
    text = metrics(({"model": "a"}, [1, 0, 0, 0], 5), ({"model": "c"}, [1, 0, 0, 0], 5))
    with pytest.raises(PlanError, match="several models have recorded lengths: choose one of a, c by --model"):
        recorded_model(text, None)
    with pytest.raises(PlanError, match="there are no lengths of model 'b', only of a, c"):
        recorded_model(text, "b")


def test_metrics_without_lengths_are_refused() -> None:
    with pytest.raises(PlanError, match="there is no npu_request_length: has a model"):
        recorded_model("# TYPE up gauge\nup 1\n", None)


def test_a_model_that_answered_nothing_is_refused() -> None:
    with pytest.raises(PlanError, match="model 'a' has answered no request yet"):
        read_recorded(metrics(({"model": "a"}, [0, 0, 0, 0], 0)), "a")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (metrics(({"model": "a"}, [1, 0, 0, 2], 60)), "not one of lengths: 2 rows up to inf"),
        (metrics(({"model": "a"}, [1, 0, 0, 0], 9)), "not one of lengths: its sum, 9, is not of its buckets"),
        (metrics(({"model": "a"}, [1, 0, 0, 0], 0)), "not one of lengths: its sum, 0, is not of its buckets"),
        ('npu_request_length_bucket{model="a",le="8"} 3\nnpu_request_length_bucket{model="a",le="9"} 1\n', "-2 rows"),
        ('npu_request_length_bucket{model="a",le="0.5"} 3\n', "3 rows up to 0.5"),
        ('npu_request_length_bucket{model="a",le="x"} 3\n', "not Prometheus text"),
        ('npu_request_length_bucket{model="a"} 3\n', "not Prometheus text"),
        ('npu_request_length_bucket{model="a",le="8"} three\n', "not Prometheus text"),
        ('npu_request_length_bucket{model="a",le="8"} NaN\n', "not Prometheus text"),
        ('npu_request_length_bucket{model="a",le="8"} +Inf\n', "a line that counts nothing"),
        ('npu_request_length_sum{model="a"} -1\n', "a line that counts nothing"),
    ],
)
def test_a_histogram_that_cannot_be_of_lengths_is_refused(text: str, reason: str) -> None:
    with pytest.raises(PlanError) as caught:
        read_recorded(text, "a")
    assert reason in str(caught.value)
