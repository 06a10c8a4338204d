"""What is known of a model version at one instant, and families with a sample of each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from npuserve.observability.exposition import Family, Sample
from npuserve.observability.latencies import FirstResponses, Summary
from npuserve.observability.statistics import ModelStatistics


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How near a model came to the answers that it should give: of all outputs that were compared, the worst."""

    min_cosine: float
    max_abs_error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSnapshot:
    """What is known of a ready model version at one instant.

    tags: the config's `metric_tags`. has_cache: whether the model asks for the response cache. gear_rows: the batch
    sizes that are compiled, ascending; empty if batches are not padded.
    summaries, first_responses: None where they are not kept. golden: None if there were no golden answers.
    checks_finite: whether answers that are no numbers are looked for.
    """

    model: str
    version: str
    statistics: ModelStatistics
    tags: Mapping[str, str] = field(default_factory=dict)
    has_cache: bool = False
    load_seconds: float = 0.0
    gear_rows: tuple[int, ...] = ()
    summaries: Mapping[str, Summary] | None = None
    first_responses: FirstResponses | None = None
    golden: Agreement | None = None
    checks_finite: bool = False

    @property
    def labels(self) -> dict[str, str]:
        """The labels of all its samples."""
        return {"model": self.model, "version": self.version} | {f"_{key}": text for key, text in self.tags.items()}


Value = Callable[[ModelSnapshot], float]


def per_model(name: str, kind: str, text: str, models: Sequence[ModelSnapshot], value: Value) -> Family:
    """Return a family with one sample of each model."""
    return Family(name=name, kind=kind, help=text, samples=[Sample(model.labels, value(model)) for model in models])
