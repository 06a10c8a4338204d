"""What a server says when it refuses a model for its golden answers, as a check of the gate."""

import re

from npuserve.migrate.chain.gates import Check
from npuserve.migrate.errors import MigrationError

_REFUSED = re.compile(
    r"does not agree with '[^']*': output '(?P<output>[^']*)' of sample (?P<sample>\d+) "
    r"(?:has cosine (?P<cosine>\S+), golden_min_cosine is (?P<least>\S+)"
    r"|is off by (?P<error>\S+), golden_max_abs_error is (?P<most>\S+))"
)


class GoldenError(MigrationError):
    """The loaded model answers a golden sample otherwise than the model that was exported."""

    def __init__(self, check: Check) -> None:
        super().__init__(
            f"the server refuses the model for its golden answers: {check}",
            "the loaded model answers otherwise than the exported one: look at the layers of S3's report",
            "where it answers well enough: golden_min_cosine and golden_max_abs_error in the config",
        )
        self.check = check


def golden_failure(log: str) -> GoldenError | None:
    """Return what a server's log says of golden answers; None: it ended for another reason."""
    found = _REFUSED.search(log)
    if found is None:
        return None
    of = f"{found['output']}, golden sample {found['sample']}"
    if found["cosine"] is not None:
        value, limit = float(found["cosine"]), float(found["least"])
        return GoldenError(Check(name=f"cosine of {of}", value=value, sense="at least", limit=limit))
    value, limit = float(found["error"]), float(found["most"])
    return GoldenError(Check(name=f"max abs error of {of}", value=value, sense="at most", limit=limit))
