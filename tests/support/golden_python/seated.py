"""Tells each request of its batch: OUTPUT0 = [rows, this row, rows with READY, READY of this row]."""

from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests: list[Any]) -> list[Any]:
        ready = [
            int(pb_utils.get_input_tensor_by_name(request, "READY").as_numpy().reshape(-1)[0]) for request in requests
        ]
        return [
            pb_utils.InferenceResponse(
                output_tensors=[
                    pb_utils.Tensor("OUTPUT0", np.array([[len(ready), row, sum(ready), ready[row]]], np.int32)),
                    pb_utils.Tensor("OUTPUT1", np.array([[""]], object)),
                ]
            )
            for row in range(len(ready))
        ]
