"""The report's language: texts are named by their English, as are the columns of figures."""

import re
from collections.abc import Mapping

from npuserve.migrate.report.chinese import CHINESE
from npuserve.migrate.report.chinese_sentences import SENTENCES
from npuserve.migrate.report.numbers import unit_of

_COLUMNS: Mapping[str, str] = {
    "qps": "QPS",
    "p50": "P50",
    "p90": "P90",
    "p95": "P95",
    "p99": "P99",
    "max abs": "max. abs. error",
    "mean abs": "mean abs. error",
    "relative": "relative error",
    "relative in model": "rel. error in the model",
    "alone relative": "rel. error alone",
    "alone max abs": "max. abs. error alone",
    "kind": "operator",
    "om": "OM",
    "onnx": "ONNX",
    "host": "host memory",
    "device": "device memory",
    "argmax agreement": "same answer",
    "entity f1": "entity F1",
}


class Words:
    """Texts in one language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._texts = CHINESE if language == "zh" else {}
        patterns = SENTENCES if language == "zh" else {}
        self._sentences = [(re.compile(pattern, re.DOTALL), text) for pattern, text in patterns.items()]

    def __call__(self, text: str, **values: object) -> str:
        """Return a text in the language, or as it is if there is none; values go where their names stand."""
        found = self._texts.get(text, text)
        return found.format(**values) if values else found

    def sentence(self, said: str) -> str:
        """Return what a stage says, as a gate's name or a note, with the names and numbers that are in it."""
        if said in self._texts:
            return self._texts[said]
        for pattern, text in self._sentences:
            if match := pattern.fullmatch(said):
                return text.format(*match.groups())
        return said

    def column(self, name: str) -> str:
        """Return the heading of a figure, with its unit."""
        words, unit = unit_of(name)
        heading = self(_COLUMNS.get(words, words))
        return f"{heading} ({self(unit)})" if unit else heading
