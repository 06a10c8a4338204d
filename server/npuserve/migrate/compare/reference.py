"""ONNX Runtime on the CPU: what is right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from npuserve.migrate.compare.packages import imported
from npuserve.migrate.compare.stopwatch import Stopwatch
from npuserve.migrate.errors import MigrationError

if TYPE_CHECKING:
    import onnx

Array = npt.NDArray[Any]

FLOATS = {"tensor(float)": 1, "tensor(float16)": 10, "tensor(double)": 11}
"""ONNX's numbers of the float types, by ONNX Runtime's names."""


class Reference:
    """A session. model: a file, or a model in memory. exact: run the graph as it is written, nothing fused.

    foreign: what its time is counted in.
    """

    def __init__(self, model: Path | onnx.ModelProto, foreign: Stopwatch, *, exact: bool = False) -> None:
        self._foreign = foreign
        runtime = imported("onnxruntime")
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        if exact:
            options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            with foreign.running():
                source = str(model) if isinstance(model, Path) else model.SerializeToString()
                self._session = runtime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's errors have no common class
            raise MigrationError(f"ONNX Runtime cannot load the graph: {error}") from error
        self.outputs = tuple(each.name for each in self._session.get_outputs())
        self.types = {each.name: str(each.type) for each in self._session.get_outputs()}

    def run(self, sample: Mapping[str, Array], outputs: Sequence[str] | None = None) -> dict[str, Array]:
        """Return the outputs by name. Raises MigrationError."""
        names = self.outputs if outputs is None else tuple(outputs)
        try:
            with self._foreign.running():
                return dict(zip(names, self._session.run(list(names), dict(sample)), strict=True))
        except Exception as error:  # as above
            raise MigrationError(f"ONNX Runtime cannot run the graph: {error}") from error
