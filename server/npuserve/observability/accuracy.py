"""How near models come to the answers that they should give, and how often they give none that is a number."""

from collections.abc import Sequence

from npuserve.observability.exposition import Family, Sample
from npuserve.observability.snapshot import ModelSnapshot


def accuracy_families(models: Sequence[ModelSnapshot]) -> list[Family]:
    """Return the families of golden samples and of answers that are no numbers, of models that look for them."""
    golden = [(model.labels, model.golden) for model in models if model.golden is not None]
    return [
        Family(
            name="npu_golden_cosine",
            kind="gauge",
            help="Lowest cosine of an output to its golden answer, when the model was loaded",
            samples=[Sample(labels, found.min_cosine) for labels, found in golden],
        ),
        Family(
            name="npu_golden_max_abs_error",
            kind="gauge",
            help="Largest difference of an output to its golden answer, when the model was loaded",
            samples=[Sample(labels, found.max_abs_error) for labels, found in golden],
        ),
        Family(
            name="npu_nonfinite_rows_total",
            kind="counter",
            help="Number of rows whose answer had NaN or infinity in it",
            samples=[Sample(model.labels, model.statistics.nonfinite_rows) for model in models if model.checks_finite],
        ),
    ]
