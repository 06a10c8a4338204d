"""Where the quantized graph of `precision = "int8"` comes from."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from npuserve.migrate.chain.settings import Settings
from npuserve.migrate.chain.stage import Result, Tell
from npuserve.migrate.compile.atc_options import AtcOptions
from npuserve.migrate.compile.compiler import Compiler
from npuserve.migrate.compile.gears import Shapes
from npuserve.migrate.compile.outline import Outline

_QUANTIZED = frozenset({"QuantizeLinear", "DequantizeLinear", "AscendQuant", "AscendDequant"})


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizeJob:
    """exported: the export's folder. folder: for the quantized graph; final: what its name will be.

    compiler, options, shapes: what the graph is for, and how it will be compiled.
    """

    exported: Path
    folder: Path
    final: Path
    settings: Settings
    compiler: Compiler
    options: AtcOptions
    shapes: Shapes
    tell: Tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantized:
    """model: the graph to compile, in the job's folder. found: to be told with the rest of the stage.

    compare: called with the OM, tells what int8 costs and gives beside the float precisions.
    """

    model: Path
    found: Result = field(default_factory=Result)
    compare: Callable[[Path], Result] | None = None


Quantize = Callable[[QuantizeJob], Quantized]
"""Writes the quantized graph into the job's folder. Raises MigrationError."""


def is_quantized(outline: Outline) -> bool:
    """Whether a graph computes in int8 already."""
    return any(name in _QUANTIZED for _, name in outline.operators)


def quantize_by_default(job: QuantizeJob) -> Quantized:
    """Quantize after training. Raises MigrationError."""
    # Of a room that compiles itself, to compare precisions.
    from npuserve.migrate.quantize import quantize

    return quantize(job)
