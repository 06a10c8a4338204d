"""Adds up each sequence: OUTPUT0 = [sum so far, START, END, READY] and OUTPUT1 = the sequence's id."""

from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        self._sums: dict[str, int] = {}

    def execute(self, requests: list[Any]) -> list[Any]:
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        def first(name: str) -> Any:
            return pb_utils.get_input_tensor_by_name(request, name).as_numpy().reshape(-1)[0]

        identifier = str(first("CORRID"))
        start, end, ready = int(first("START")), int(first("END")), int(first("READY"))
        total = int(first("INPUT0")) + (0 if start else self._sums.get(identifier, -1000))
        self._sums[identifier] = total
        outputs = [
            pb_utils.Tensor("OUTPUT0", np.array([[total, start, end, ready]], np.int64).astype(np.int32)),
            pb_utils.Tensor("OUTPUT1", np.array([[identifier]], object)),
        ]
        return pb_utils.InferenceResponse(output_tensors=outputs)
