"""What a shadow is told at start."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from npuserve.migrate.errors import MigrationError

PRIORITIES = ("idle", "low", "normal")

Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When two answers disagree, and when all of them together fail.

    min_cosine, max_error: of a row of floats; the error is the length of the difference over the reference's.
    fail_below_cosine: of any row. fail_above_disagreed: the share of compared answers. None: no such limit.
    """

    min_cosine: float = 0.999
    max_error: float = 0.05
    fail_below_cosine: float | None = None
    fail_above_disagreed: float | None = None

    @property
    def can_fail(self) -> bool:
        """Whether the whole has a limit."""
        return self.fail_below_cosine is not None or self.fail_above_disagreed is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowOptions:
    """A shadow's options. Raises MigrationError, naming the flag and its range.

    reference: HOST:PORT of the old server's gRPC. fields: what each request's head has there.
    share: of live requests. models: by name; none: all.
    max_in_flight: requests that the reference has at once; timeout_secs: how long it has for each.
    queue_bytes: of the queue, above which requests are dropped. most_bytes: of a request with its answer.
    keep_cases, keep_bytes: how many of the worst cases are kept as files, and their size.
    priority: of the process that repeats and compares. drain_secs: how long it may go on when the server has stopped.
    """

    reference: str
    share: float = 0.1
    models: frozenset[str] = frozenset()
    report: Path = Path("shadow")
    fields: Fields = ()
    max_in_flight: int = 8
    timeout_secs: float = 10.0
    queue_bytes: int = 32 << 20
    most_bytes: int = 4 << 20
    keep_cases: int = 20
    keep_bytes: int = 64 << 20
    priority: str = "idle"
    drain_secs: float = 10.0
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        host, _, port = self.reference.rpartition(":")
        _require(
            bool(host) and port.isdecimal() and 0 < int(port) < 65536,
            f"--reference must be HOST:PORT, got '{self.reference}'",
        )
        _require(0 < self.share <= 1, f"--share must be above 0 and at most 1, got {self.share:g}")
        for flag, value in (("--max-in-flight", self.max_in_flight), ("--queue-mib", self.queue_bytes)):
            _require(value >= 1, f"{flag} must be 1 or more, got {value}")
        _require(self.timeout_secs > 0, f"--reference-timeout-secs must be above 0, got {self.timeout_secs:g}")
        for flag, value in (("--keep-cases", self.keep_cases), ("--keep-mib", self.keep_bytes)):
            _require(value >= 0, f"{flag} must be 0 or more, got {value}")
        _require(self.priority in PRIORITIES, f"--priority must be one of {', '.join(PRIORITIES)}")
        limits = self.limits
        cosines = {"--min-cosine": limits.min_cosine, "--fail-below-cosine": limits.fail_below_cosine}
        for name, cosine in cosines.items():
            _require(cosine is None or -1 <= cosine <= 1, f"{name} must be in range [-1, 1], got {cosine}")
        _require(limits.max_error >= 0, f"--max-error must be 0 or more, got {limits.max_error:g}")
        share = limits.fail_above_disagreed
        _require(share is None or 0 <= share <= 1, f"--fail-above-disagreed must be in range [0, 1], got {share}")

    def as_json(self) -> dict[str, Any]:
        """Return them as plain JSON; `options_of` reads it."""
        return asdict(self) | {"models": sorted(self.models), "report": str(self.report)}


def options_of(plain: dict[str, Any]) -> ShadowOptions:
    """Return the options that were plain JSON."""
    return ShadowOptions(
        **{
            **plain,
            "models": frozenset(plain["models"]),
            "report": Path(plain["report"]),
            "fields": tuple((name, value) for name, value in plain["fields"]),
            "limits": Limits(**plain["limits"]),
        }
    )


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise MigrationError(message)
