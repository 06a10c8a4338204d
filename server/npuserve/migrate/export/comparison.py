"""Whether a graph answers as the model did, row by row and in a padded batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from npuserve.migrate.chain.gates import Check, failed
from npuserve.migrate.chain.tensors import Tensors
from npuserve.migrate.export.onnx_file import fixed_axis
from npuserve.migrate.export.running import (
    Agreement,
    agreement,
    batch_members,
    cut_rows,
    padded_rows,
    run_onnx,
    worst,
)

# Rows of the one batch that is compared with single rows.
_BATCH = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """checks: the gate. outputs: how far the single answers agree. padding: whether only the padded batch failed."""

    checks: Sequence[Check]
    outputs: Mapping[str, Agreement]

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return not failed(self.checks)

    @property
    def padding(self) -> bool:
        """Whether the graph is right but for rows that are padded."""
        return not self.passed and self.checks[0].passed


def compare(
    model: Any, samples: Sequence[Tensors], expected: Sequence[Tensors], baseline: str, limit: float
) -> Comparison:
    """Run a graph in ONNX Runtime and compare its answers. baseline: whose the expected are. Raises MigrationError."""
    found = agreement(run_onnx(model, samples), expected)
    checks = [
        Check(
            name=f"cosine of the answers, ONNX Runtime against {baseline}, worst of {len(samples)} samples",
            value=worst(found).cosine,
            sense="above",
            limit=limit,
        )
    ]
    free = all(fixed_axis(model, name, 0) is None for name in samples[0])
    if free and (batch := padded_rows(samples, _BATCH)) is not None:
        rows = cut_rows(run_onnx(model, [batch])[0], samples, _BATCH)
        members = batch_members(samples, expected, _BATCH)
        checks.append(
            Check(
                name=f"cosine of a padded batch of {len(rows)} against {baseline}'s single answers",
                value=worst(agreement(rows, members)).cosine,
                sense="above",
                limit=limit,
            )
        )
    return Comparison(checks=checks, outputs=found)


def advice(now: Comparison, before: Comparison, rewrites: Sequence[str]) -> tuple[str, ...]:
    """Return what to try for a graph that fails now. before: of the graph without its rewrites."""
    if before.passed and rewrites:
        done = ", ".join(rewrites)
        return (f"before the rewrites the graph was right: leave one out by export.skip_rewrites (done: {done})",)
    if now.padding:
        return ("the model answers a padded row unlike the row alone: make it heed attention_mask",)
    return (
        "the graph differs from the model already as it was traced: look for decisions on values of tensors in forward",
        "try another export.opset",
    )
