"""Logits of a sentence to its label, for Triton's python backend: `label` and its probability `score`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from scoring import softmax


class TritonPythonModel:
    """Names the greatest logit; the names lie beside this file."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read the labels, one a line."""
        names = (Path(__file__).parent / "labels.txt").read_text(encoding="utf-8").splitlines()
        self._names = np.array([name.encode() for name in names], dtype=object)

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer each request, a label a row."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        shares = softmax(pb_utils.get_input_tensor_by_name(request, "logits").as_numpy())
        labels = self._names[shares.argmax(-1)].reshape(-1, 1)
        scores = shares.max(-1).astype(np.float32).reshape(-1, 1)
        return pb_utils.InferenceResponse(
            output_tensors=[pb_utils.Tensor("label", labels), pb_utils.Tensor("score", scores)]
        )
