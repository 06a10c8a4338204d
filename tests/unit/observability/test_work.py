"""The metrics of what the devices ran: tokens by gear, lengths, refusals."""

from npuserve.observability.exposition import render
from npuserve.observability.snapshot import ModelSnapshot
from npuserve.observability.statistics import GearStatistics, ModelStatistics
from npuserve.observability.work import work_families
from support.prometheus import Metric, parse_metrics

STATISTICS = ModelStatistics(
    gears=(
        GearStatistics(gear="1x16", executions=2, useful=20, padding=12, cost_ns=1500),
        GearStatistics(
            gear="4x64", executions=1, useful=100, padding=28, cancelled=50, expired=14, empty=64, cost_ns=9000
        ),
    ),
    lengths=((3, 2), (8, 1), (9, 4), (30, 1)),
    shed=7,
    predicted_wait_ns=2_500_000,
    queue_delay_ns=300_000,
)
MODEL = ModelSnapshot(model="m", version="1", statistics=STATISTICS, tags={"team": "x"})
LABELS = {"model": "m", "version": "1", "_team": "x"}


def told(*models: ModelSnapshot) -> dict[str, Metric]:
    return parse_metrics(render(work_families(models)).decode())


def test_every_token_of_a_gear_is_told_by_what_became_of_it() -> None:
    metrics = told(MODEL)
    tokens = metrics["npu_tokens_total"]
    assert tokens.kind == "counter"
    found = {
        gear: [
            tokens.value("npu_tokens_total", gear=gear, kind=kind, **LABELS)
            for kind in ("useful", "padding", "cancelled", "expired", "empty")
        ]
        for gear in ("1x16", "4x64")
    }
    assert found == {"1x16": [20, 12, 0, 0, 0], "4x64": [100, 28, 50, 14, 64]}
    executions = metrics["npu_gear_executions_total"]
    held = {"1x16": 1 * 16, "4x64": 4 * 64}
    for gear, counts in found.items():
        assert sum(counts) == held[gear] * executions.value("npu_gear_executions_total", gear=gear, **LABELS)


def test_a_gear_tells_its_cost_where_it_was_measured() -> None:
    name = "npu_gear_cost_us"
    assert told(MODEL)[name].value(name, gear="1x16", **LABELS) == 1.5
    assert name not in told(
        ModelSnapshot(model="n", version="1", statistics=ModelStatistics(gears=(GearStatistics(gear="1"),)))
    )


def test_lengths_are_a_histogram_in_steps_whose_sum_is_exact() -> None:
    metric, name = told(MODEL)["npu_request_length"], "npu_request_length"
    counts = [metric.value(f"{name}_bucket", le=bound, **LABELS) for bound in ("8", "16", "24", "32", "+Inf")]
    assert counts == [3, 7, 7, 8, 8]
    assert metric.value(f"{name}_sum", **LABELS) == 3 * 2 + 8 + 9 * 4 + 30
    assert name not in told(ModelSnapshot(model="n", version="1", statistics=ModelStatistics()))


def test_refusals_and_waits_are_told_of_every_model() -> None:
    metrics = told(MODEL, ModelSnapshot(model="n", version="1", statistics=ModelStatistics()))
    names = ("npu_requests_shed_total", "npu_predicted_wait_us", "npu_queue_delay_us")
    assert [metrics[name].value(name, **LABELS) for name in names] == [7, 2500, 300]
    assert [metrics[name].value(name, model="n", version="1") for name in names] == [0, 0, 0]
