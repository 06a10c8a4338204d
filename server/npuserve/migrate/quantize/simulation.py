"""Graphs in ONNX Runtime: a quantized one as float layers of rounded values, so that nothing overflows or is fused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from npuserve.migrate.compare.stopwatch import Stopwatch
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.quantize.packages import imported

if TYPE_CHECKING:
    import onnx

Array = npt.NDArray[Any]


class Simulation:
    """A session. foreign: what its time is counted in."""

    def __init__(self, model: onnx.ModelProto, foreign: Stopwatch) -> None:
        self._foreign = foreign
        runtime: Any = imported("onnxruntime")
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        # The int8 kernels of some processors saturate in 16 bits; the NPU's do not.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        try:
            with foreign.running():
                self._session = runtime.InferenceSession(
                    model.SerializeToString(), options, providers=["CPUExecutionProvider"]
                )
        except Exception as error:  # ONNX Runtime's errors have no common class
            raise MigrationError(f"ONNX Runtime cannot load the graph: {error}") from error
        self._names = [each.name for each in self._session.get_outputs()]
        self.takes_batches = all(
            each.shape and not isinstance(each.shape[0], int) for each in self._session.get_inputs()
        )

    def run(self, batches: Sequence[Mapping[str, Array]]) -> list[dict[str, Array]]:
        """Return the outputs of each. Raises MigrationError."""
        try:
            with self._foreign.running():
                return [
                    dict(zip(self._names, self._session.run(self._names, dict(batch)), strict=True))
                    for batch in batches
                ]
        except Exception as error:  # as above
            raise MigrationError(f"ONNX Runtime cannot run the graph: {error}") from error
