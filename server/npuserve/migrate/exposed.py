"""Samples of a server's metrics, read from Prometheus' text format 0.0.4."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from npuserve.migrate.errors import PlanError

_LINE = re.compile(r"(\w+)\{(.*)\} (\S+)(?: -?\d+)?")
_LABEL = re.compile(r'([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"')
_ESCAPES = {"\\n": "\n", '\\"': '"', "\\\\": "\\"}


@dataclass(frozen=True, slots=True)
class Exposed:
    """A sample with labels. line: as it stands in the text."""

    name: str
    labels: Mapping[str, str]
    value: float
    line: str

    @property
    def count(self) -> int:
        """The value of what is counted. Raises PlanError."""
        if not 0 <= self.value < math.inf:
            raise PlanError(f"the metrics have a line that counts nothing: {self.line}")
        return int(self.value)


def exposed(text: str, *names: str) -> Iterator[Exposed]:
    """Yield the samples with these full names and any labels. Raises PlanError for one without a number."""
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match and match[1] in names:
            labels = {name: _unescaped(value) for name, value in _LABEL.findall(match[2])}
            yield Exposed(match[1], labels, number(match[3], line), line)


def number(text: str, line: str) -> float:
    """Read a value or a bound. Raises PlanError if it is none."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise PlanError(f"the metrics have a line that is not Prometheus text: {line}")
    return value


def _unescaped(text: str) -> str:
    return re.sub(r"\\.", lambda match: _ESCAPES.get(match[0], match[0]), text)
