"""The smoke test: single requests, one request of several rows, and many at once, each answer compared."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np

from npuserve.migrate.chain.tensors import Tensors
from npuserve.migrate.serve.agreement import Agreement, agreement
from npuserve.migrate.serve.client import Client

_AT_ONCE = 64

Infer = Callable[[Tensors], Tensors]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One comparison. rows: compared. what: the requests, in words."""

    what: str
    rows: int
    agreement: Agreement


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeReport:
    """single: the first request against the baseline. singles: all of them. batched: against the single answers."""

    single: Case
    singles: Case
    batched: Sequence[Case] = field(default_factory=tuple)
    rows_an_execution: float = 1.0

    @property
    def worst_batched(self) -> Agreement:
        """Of all batches."""
        return sum((case.agreement for case in self.batched), Agreement())

    def table(self) -> list[dict[str, Any]]:
        """Return a row a comparison."""
        return [
            {"case": case.what, "rows": case.rows, "cosine": case.agreement.cosine, "max_abs": case.agreement.max_abs}
            for case in (self.single, self.singles, *self.batched)
        ]


def smoke_test(
    client: Client, model: str, samples: Sequence[Tensors], expected: Sequence[Tensors], max_batch: int
) -> SmokeReport:
    """Send the samples alone, stacked, and side by side. samples: of one row each, at least one. Raises MigrationError.

    max_batch: rows that a request may have; 0: no batches.
    """
    first = agreement(client.infer(model, samples[0]), expected[0])
    alone = [client.infer(model, sample) for sample in samples]
    singles = sum((agreement(got, wanted) for got, wanted in zip(alone, expected, strict=True)), Agreement())
    batched = []
    if max_batch > 1:
        batched = _stacked(client, model, samples, alone, max_batch)
    before = client.counts(model)
    together = client.infer_all(model, samples, _AT_ONCE)
    after = client.counts(model)
    same = sum((agreement(got, wanted) for got, wanted in zip(together, alone, strict=True)), Agreement())
    batched.append(Case(what=f"{min(len(samples), _AT_ONCE)} requests at once", rows=len(samples), agreement=same))
    return SmokeReport(
        single=Case(what="one request against the baseline", rows=1, agreement=first),
        singles=Case(what="single requests against the baseline", rows=len(samples), agreement=singles),
        batched=batched,
        rows_an_execution=(after[0] - before[0]) / max(after[1] - before[1], 1),
    )


def _stacked(
    client: Client, model: str, samples: Sequence[Tensors], alone: Sequence[Tensors], max_batch: int
) -> list[Case]:
    """Send samples of equal shapes as the rows of one request; a sample without another like it is sent twice."""
    cases: dict[int, Case] = {}
    order = sorted(range(len(samples)), key=lambda number: _shapes(samples[number]))
    for _, group in groupby(order, key=lambda number: _shapes(samples[number])):
        members = list(group)
        for start in range(0, len(members), max_batch):
            chosen = members[start : start + max_batch]
            rows = chosen if len(chosen) > 1 else chosen * 2
            answer = client.infer(model, _joined([samples[number] for number in rows]))
            found = agreement(answer, _joined([alone[number] for number in rows]))
            known = cases.get(len(rows))
            cases[len(rows)] = Case(
                what=f"requests of {len(rows)} rows",
                rows=len(rows) + (known.rows if known else 0),
                agreement=found + known.agreement if known else found,
            )
    return [cases[rows] for rows in sorted(cases)]


def _shapes(sample: Tensors) -> tuple[tuple[str, tuple[int, ...]], ...]:
    return tuple((name, array.shape) for name, array in sample.items())


def _joined(samples: Sequence[Tensors]) -> Tensors:
    return {name: np.concatenate([sample[name] for sample in samples]) for name in samples[0]}
