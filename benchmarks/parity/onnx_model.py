"""An ONNX model for Triton's python backend: this Triton has no backend of its own that runs ONNX.

Session and threads are as npuserve's `onnxruntime` backend makes them from the same parameters; a batch's requests of
equal length run together.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """Runs `model.onnx`, which lies beside this file."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the session."""
        config = json.loads(args["model_config"])
        options = onnxruntime.SessionOptions()
        threads = config["parameters"].get("intra_op_thread_count", {}).get("string_value", "0")
        options.intra_op_num_threads = int(threads)
        path = Path(__file__).with_name("model.onnx")
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._inputs = [tensor["name"] for tensor in config["input"]]
        self._outputs = [tensor["name"] for tensor in config["output"]]

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Run the requests, those whose inputs have equal shapes but for the rows in one go."""
        arrays = [
            [pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in self._inputs]
            for request in requests
        ]
        groups: dict[tuple[tuple[int, ...], ...], list[int]] = {}
        for index, each in enumerate(arrays):
            groups.setdefault(tuple(array.shape[1:] for array in each), []).append(index)
        responses: dict[int, Any] = {}
        for members in groups.values():
            feeds = {
                name: np.concatenate([arrays[index][place] for index in members])
                for place, name in enumerate(self._inputs)
            }
            results = self._session.run(self._outputs, feeds)
            row = 0
            for index in members:
                rows = len(arrays[index][0])
                tensors = [
                    pb_utils.Tensor(name, result[row : row + rows])
                    for name, result in zip(self._outputs, results, strict=True)
                ]
                responses[index] = pb_utils.InferenceResponse(output_tensors=tensors)
                row += rows
        return [responses[index] for index in range(len(requests))]
