"""How full batches were."""

from collections.abc import Sequence

from npuserve.observability.exposition import Family, Sample, histogram_of
from npuserve.observability.snapshot import ModelSnapshot, per_model

_BATCH_BOUNDS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_WASTE_BOUNDS = (0.0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875)


def batch_families(models: Sequence[ModelSnapshot]) -> list[Family]:
    """Return how full batches were: their sizes, and how much of what ran was padding."""
    return [
        Family(
            name="npu_batch_size",
            kind="histogram",
            help="Rows of requests in an execution",
            samples=[sample for model in models for sample in _batch_sizes(model)],
        ),
        Family(
            name="npu_padding_waste_ratio",
            kind="histogram",
            help="Share of padding in the batch dimension of an execution",
            samples=[sample for model in models if model.gear_rows for sample in _waste(model)],
        ),
        per_model(
            "npu_padded_rows",
            "counter",
            "Number of rows executed beyond those of requests",
            models,
            lambda model: model.statistics.padded_rows,
        ),
        per_model(
            "npu_slot_occupancy_ratio",
            "gauge",
            "Share of the executed rows that were requests' own, since the model was loaded",
            models,
            _occupancy,
        ),
    ]


def _occupancy(model: ModelSnapshot) -> float:
    own = model.statistics.inference_count
    executed = own + model.statistics.padded_rows
    return own / executed if executed else 0.0


def _batch_sizes(model: ModelSnapshot) -> list[Sample]:
    sizes = [(float(batch.batch_size), batch.compute_infer.count) for batch in model.statistics.batches]
    return histogram_of(model.labels, _BATCH_BOUNDS, sizes)


def _waste(model: ModelSnapshot) -> list[Sample]:
    """Return a histogram of the padding in each execution, which ran in the least gear that held its rows."""
    found = []
    for batch in model.statistics.batches:
        gear = next((rows for rows in model.gear_rows if rows >= batch.batch_size), batch.batch_size)
        found.append(((gear - batch.batch_size) / gear if gear else 0.0, batch.compute_infer.count))
    return histogram_of(model.labels, _WASTE_BOUNDS, found)
