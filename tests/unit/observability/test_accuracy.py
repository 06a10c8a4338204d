"""How near models came to their golden answers, and rows that were no numbers."""

import math

from npuserve.observability.accuracy import accuracy_families
from npuserve.observability.exposition import render
from npuserve.observability.snapshot import Agreement, ModelSnapshot
from npuserve.observability.statistics import ModelStatistics
from support.prometheus import Metric, parse_metrics

LABELS = {"model": "m", "version": "3"}


def told(*models: ModelSnapshot) -> dict[str, Metric]:
    return parse_metrics(render(accuracy_families(models)).decode())


def model(golden: Agreement | None = None, *, checks_finite: bool = False) -> ModelSnapshot:
    statistics = ModelStatistics(nonfinite_rows=4)
    return ModelSnapshot(model="m", version="3", statistics=statistics, golden=golden, checks_finite=checks_finite)


def test_a_model_tells_how_near_it_came() -> None:
    metrics = told(model(Agreement(min_cosine=0.9995, max_abs_error=0.25)))
    assert metrics["npu_golden_cosine"].kind == metrics["npu_golden_max_abs_error"].kind == "gauge"
    assert metrics["npu_golden_cosine"].value("npu_golden_cosine", **LABELS) == 0.9995
    assert metrics["npu_golden_max_abs_error"].value("npu_golden_max_abs_error", **LABELS) == 0.25


def test_no_number_is_told_as_such() -> None:
    metric = told(model(Agreement(min_cosine=math.nan, max_abs_error=math.nan)))["npu_golden_cosine"]
    assert math.isnan(metric.value("npu_golden_cosine", **LABELS))


def test_rows_that_are_no_numbers_are_counted_where_they_are_looked_for() -> None:
    metric = told(model(checks_finite=True))["npu_nonfinite_rows_total"]
    assert (metric.kind, metric.value("npu_nonfinite_rows_total", **LABELS)) == ("counter", 4)


def test_models_without_either_tell_nothing() -> None:
    assert render(accuracy_families([model()])) == b""
