"""The peer: the same graph, compiled by OpenVINO with the same settings, executed in a bare loop."""

import time
from pathlib import Path

import numpy as np
import openvino as ov


class BareLoop:
    """One compiled model at one shape; `measure` runs it back to back."""

    def __init__(self, onnx: Path, batch: int, length: int, threads: int) -> None:
        core = ov.Core()
        model = core.read_model(onnx)
        model.reshape({port.any_name: [batch, length] for port in model.inputs})
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "INFERENCE_PRECISION_HINT": "f32",
        }
        self._request = core.compile_model(model, "CPU", settings).create_infer_request()
        self._batch = batch
        generator = np.random.default_rng(1)
        self._inputs = {
            "input_ids": generator.integers(1000, 30000, (batch, length), dtype=np.int64),
            "attention_mask": np.ones((batch, length), np.int64),
        }
        self._request.infer(self._inputs)

    def measure(self, seconds: float) -> float:
        """Return sequences per second over about `seconds`."""
        start = time.perf_counter()
        executions = 0
        while time.perf_counter() - start < seconds:
            self._request.infer(self._inputs)
            executions += 1
        return executions * self._batch / (time.perf_counter() - start)
