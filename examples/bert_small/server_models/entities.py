"""Tags of tokens to the entities of a text, for Triton's python backend: `entities`, a JSON list a row."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import triton_python_backend_utils as pb_utils
from scoring import softmax, spans
from tokens import split_words


class TritonPythonModel:
    """Joins words to entities as their tags say; the tags' names lie beside this file."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read the tags, one a line."""
        self._tags = (Path(__file__).parent / "labels.txt").read_text(encoding="utf-8").splitlines()

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer each request, a list of entities a row."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        texts, starts, logits = (
            pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in ("text", "word_starts", "logits")
        )
        rows = [
            json.dumps(self._entities(text.decode("utf-8", "replace"), begin, share), ensure_ascii=False).encode()
            for text, begin, share in zip(texts.ravel(), starts, softmax(logits), strict=True)
        ]
        return pb_utils.InferenceResponse(
            output_tensors=[pb_utils.Tensor("entities", np.array(rows, dtype=object).reshape(-1, 1))]
        )

    def _entities(
        self, text: str, starts: npt.NDArray[np.int64], shares: npt.NDArray[np.float32]
    ) -> list[dict[str, object]]:
        words = split_words(text)
        tags = [self._tags[int(shares[at].argmax())] if at >= 0 else "O" for at in starts[: len(words)]]
        return [
            {
                "kind": span.kind,
                "text": " ".join(words[span.start : span.end]),
                "score": round(float(min(shares[starts[word]].max() for word in range(span.start, span.end))), 4),
            }
            for span in spans(tags)
        ]
