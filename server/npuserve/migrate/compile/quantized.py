"""Where the quantized graph of `precision = "int8"` comes from."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from npuserve.migrate.compile.compiler import Compiler
from npuserve.migrate.compile.outline import Outline
from npuserve.migrate.errors import MigrationError

_QUANTIZED = frozenset({"QuantizeLinear", "DequantizeLinear", "AscendQuant", "AscendDequant"})


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizeJob:
    """model, calibration: of the export. folder: for the quantized graph. compiler: what it is for."""

    model: Path
    calibration: Path
    folder: Path
    compiler: Compiler


Quantize = Callable[[QuantizeJob], Path]
"""Writes the quantized graph into the job's folder and returns it. Raises MigrationError."""


def is_quantized(outline: Outline) -> bool:
    """Whether a graph computes in int8 already."""
    return any(name in _QUANTIZED for _, name in outline.operators)


def quantized_graph(job: QuantizeJob, quantize: Quantize | None) -> Path:
    """Return the graph to compile for int8. Raises MigrationError."""
    if quantize is None:
        raise MigrationError(
            "precision is 'int8', and the graph is not quantized",
            "quantize it by ONNX Runtime (static, QDQ) or AMCT, and name the result under [source] as onnx",
            "compile with another precision, as 'force_fp16'",
        )
    if not job.calibration.is_file():
        raise MigrationError(f"there is no calibration sample for int8: {job.calibration}", "run the export again")
    return quantize(job)
