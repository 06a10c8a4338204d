"""Where npuserve's answers differ from Triton's on purpose: the table that docs/compatibility.md shows."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

Answer = dict[str, Any]

# Calls that end the real server's process, by family: they have no golden answer, but npuserve must answer them.
PEER_DIES = {"streaming": ("strict stream: a decoupled error",)}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A row of the table, and what it does to golden answers.

    topic, triton, npuserve, reason: the row. calls: patterns of `family/name` of the calls whose answers differ.
    change: makes npuserve's answer of a golden one, in place or anew. Without calls the row is of what the suite does
    not ask, and `proof` names the test that does.
    """

    topic: str
    triton: str
    npuserve: str
    reason: str
    calls: Sequence[str] = ()
    change: Callable[[Answer], Answer | None] = lambda answer: answer
    proof: str = ""

    def concerns(self, family: str, name: str) -> bool:
        """Whether a call's answer differs."""
        return any(fnmatchcase(f"{family}/{name}", pattern) for pattern in self.calls)

    @property
    def row(self) -> tuple[str, str, str, str]:
        """The row of the document's table."""
        return self.topic, self.triton, self.npuserve, self.reason


def expected(family: str, name: str, golden: Answer) -> Answer:
    """Return what npuserve must answer where Triton answered so."""
    answer = copy.deepcopy(golden)
    for difference in DIFFERENCES:
        if difference.concerns(family, name):
            changed = difference.change(answer)
            answer = answer if changed is None else changed
    return answer


def refused(code: str, details: str) -> Callable[[Answer], Answer]:
    """A change to a gRPC refusal."""
    return lambda answer: {"code": code, "details": details}


def http_refused(status: int, error: str) -> Callable[[Answer], Answer]:
    """A change to an HTTP refusal."""
    return lambda answer: {"status": status, "headers": {"content-type": "application/json"}, "body": {"error": error}}


def _named_otherwise(answer: Answer) -> None:
    metadata = answer.get("response") or answer["body"]
    metadata["name"], metadata["version"] = "npuserve", "<version>"
    metadata["extensions"].remove("cuda_shared_memory")


def _json_error(answer: Answer) -> None:
    """An error with a body; golden answers of gRPC have no status."""
    if answer.get("status", 200) >= 400 and "error" in answer["body"]:
        answer["headers"]["content-type"] = "application/json"


DIFFERENCES: tuple[Difference, ...] = (
    Difference(
        topic="server metadata",
        triton="name `triton`, its version; announces `cuda_shared_memory`",
        npuserve="name `npuserve` (flag `--id`), its own version; does not announce it",
        reason="clients test the list before they use an extension, and there are no CUDA devices",
        calls=("metadata/server metadata, *",),
        change=_named_otherwise,
    ),
    Difference(
        topic="content type of HTTP errors",
        triton="`text/plain` or `application/json`, by the stage that failed; the body is JSON in both",
        npuserve="`application/json`",
        reason="says what the body is; no client looks at it",
        calls=("*",),
        change=_json_error,
    ),
)
