"""Where the devices' work went: the tokens of every gear, the lengths of requests, and who was refused for it."""

from collections.abc import Callable, Sequence

from npuserve.observability.exposition import Family, Sample, histogram_of
from npuserve.observability.snapshot import ModelSnapshot, per_model
from npuserve.observability.statistics import GearStatistics

_LENGTH_STEP = 8


def work_families(models: Sequence[ModelSnapshot]) -> list[Family]:
    """Return the families of gears, lengths and waiting. Tokens of all kinds sum to what the gear's executions held."""
    return [
        _of_gears(
            "npu_gear_executions_total",
            "counter",
            "Number of executions of a gear",
            models,
            lambda gear: gear.executions,
        ),
        Family(
            name="npu_tokens_total",
            kind="counter",
            help="Number of tokens that a gear ran, by what became of them",
            samples=[
                Sample(_labels(model, gear) | {"kind": kind}, count)
                for model in models
                for gear in model.statistics.gears
                for kind, count in (
                    ("useful", gear.useful),
                    ("padding", gear.padding),
                    ("cancelled", gear.cancelled),
                    ("expired", gear.expired),
                    ("empty", gear.empty),
                )
            ],
        ),
        _of_gears(
            "npu_gear_cost_us",
            "gauge",
            "Duration of one execution of a gear in microseconds, measured at warm-up",
            [model for model in models if any(gear.cost_ns for gear in model.statistics.gears)],
            lambda gear: gear.cost_ns / 1000,
        ),
        Family(
            name="npu_request_length",
            kind="histogram",
            help="Rows of requests by their own length, the first variable dimension",
            samples=[sample for model in models if model.statistics.lengths for sample in _lengths(model)],
        ),
        per_model(
            "npu_requests_shed_total",
            "counter",
            "Number of requests refused because they would have waited too long",
            models,
            lambda model: model.statistics.shed,
        ),
        per_model(
            "npu_predicted_wait_us",
            "gauge",
            "Duration that a request would wait if it came now, in microseconds",
            models,
            lambda model: model.statistics.predicted_wait_ns // 1000,
        ),
        per_model(
            "npu_queue_delay_us",
            "gauge",
            "Duration that a batch is held for more requests at present, in microseconds",
            models,
            lambda model: model.statistics.queue_delay_ns // 1000,
        ),
    ]


def _of_gears(
    name: str, kind: str, text: str, models: Sequence[ModelSnapshot], value: Callable[[GearStatistics], float]
) -> Family:
    return Family(
        name=name,
        kind=kind,
        help=text,
        samples=[Sample(_labels(model, gear), value(gear)) for model in models for gear in model.statistics.gears],
    )


def _labels(model: ModelSnapshot, gear: GearStatistics) -> dict[str, str]:
    return model.labels | {"gear": gear.gear}


def _lengths(model: ModelSnapshot) -> list[Sample]:
    """Return the histogram of lengths, in steps up to the longest."""
    lengths = model.statistics.lengths
    longest = max(length for length, _ in lengths)
    bounds = range(_LENGTH_STEP, longest + _LENGTH_STEP, _LENGTH_STEP)
    return histogram_of(model.labels, bounds, lengths)
