"""One difference from Triton that is on purpose: a row of the table, and what it does to Triton's answers."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from support.golden_changes import Answer


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A row of the table, and what it does to golden answers.

    topic, triton, npuserve, reason: the row. calls: patterns of `family/name` of the calls whose answers differ.
    change: makes npuserve's answer of a golden one, in place or anew. answers: npuserve's answers, by `family/name`.
    Without any call the row is of what the suite does not ask, and `proof` names the test that does.
    """

    topic: str
    triton: str
    npuserve: str
    reason: str
    calls: Sequence[str] = ()
    change: Callable[[Answer], Answer | None] = lambda answer: answer
    answers: Mapping[str, Answer] = field(default_factory=dict)
    proof: str = ""

    def concerns(self, family: str, name: str) -> bool:
        """Whether a call's answer differs."""
        call = f"{family}/{name}"
        return call in self.answers or any(fnmatchcase(call, pattern) for pattern in self.calls)

    def expected(self, family: str, name: str, answer: Answer) -> Answer:
        """Return npuserve's answer where this is Triton's; it may be changed in place."""
        given = self.answers.get(f"{family}/{name}")
        return copy.deepcopy(given) if given is not None else self.change(answer) or answer

    @property
    def row(self) -> tuple[str, str, str, str]:
        """The row of the document's table."""
        return self.topic, self.triton, self.npuserve, self.reason
