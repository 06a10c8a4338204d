"""Shapes to compile for: those of the settings, or the plan's for the lengths that the export saw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from npuserve.migrate.chain.settings import CompileSettings
from npuserve.migrate.compile.outline import GraphTensor, Outline
from npuserve.migrate.errors import MigrationError, PlanError
from npuserve.migrate.options import PlanOptions
from npuserve.migrate.planning import Plan, Proposal, assess, plan
from npuserve.migrate.sample import LengthSample, read_lengths

BATCH = "batch"
LENGTH = "length"
POSITIONS = "max_length.txt"
Axis = int | str
"""A fixed size, BATCH, or LENGTH."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    """What is compiled. inputs: each one's axes, by name, in the model's order. batches, lengths: ascending.

    Every pair of a batch and a length is a gear; a model without a variable length has none in `lengths`.
    """

    inputs: Mapping[str, tuple[Axis, ...]]
    batches: tuple[int, ...] = ()
    lengths: tuple[int, ...] = ()

    @property
    def gears(self) -> tuple[dict[str, tuple[int, ...]], ...]:
        """The inputs' shapes at each gear, the smallest first; one for fixed shapes."""
        return tuple(
            {name: tuple(_size(axis, batch, length) for axis in axes) for name, axes in self.inputs.items()}
            for batch in self.batches or (0,)
            for length in self.lengths or (0,)
        )

    def plain(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        gears = [{name: list(shape) for name, shape in gear.items()} for gear in self.gears]
        return {"batches": list(self.batches), "lengths": list(self.lengths), "gears": gears}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedShapes:
    """proposal: None without a sample of lengths, or if the sample has longer rows than the gears."""

    shapes: Shapes
    sample: LengthSample | None = None
    plan: Plan | None = None
    proposal: Proposal | None = None
    notes: tuple[str, ...] = ()


def plan_shapes(
    outline: Outline, settings: CompileSettings, lengths_file: Path, max_length: int, *, single: bool = False
) -> PlannedShapes:
    """Decide for which shapes to compile. single: one gear, the largest, where settings name none.

    Beside the file of lengths another may tell that the model has positions for fewer tokens than `max_length`.

    Raises MigrationError if the model has shapes that no gear can describe, or the lengths cannot be planned for.
    """
    inputs = {tensor.name: _axes(tensor) for tensor in outline.inputs}
    if not inputs:
        raise MigrationError("the ONNX has no inputs, so there is nothing to serve")
    has: set[Axis] = {axis for axes in inputs.values() for axis in axes if isinstance(axis, str)}
    if not has:
        return _fixed(inputs, outline.inputs, settings)
    sample = _sample(lengths_file) if LENGTH in has else None
    try:
        options = _options(settings, sample, _positions(lengths_file.with_name(POSITIONS), max_length))
        if LENGTH not in has:
            return PlannedShapes(shapes=Shapes(inputs=inputs, batches=_batches(options, has, single)))
        return _with_lengths(inputs, settings, sample, options, single)
    except PlanError as error:
        raise MigrationError(
            f"gears cannot be planned: {error}", "name batches and lengths under [compile], or change max_gears there"
        ) from error


def _with_lengths(
    inputs: Mapping[str, tuple[Axis, ...]],
    settings: CompileSettings,
    sample: LengthSample | None,
    options: PlanOptions,
    single: bool,
) -> PlannedShapes:
    batches = _batches(options, {axis for axes in inputs.values() for axis in axes}, single)
    planned = None
    if settings.lengths:
        lengths = tuple(sorted(set(settings.lengths)))
    elif sample is None:
        raise MigrationError(
            "there are no lengths to plan gears for: the export wrote no lengths.txt",
            "name lengths under [compile], as lengths = [16, 32, 64, 128]",
        )
    else:
        planned = plan(sample, options)
        lengths = planned.recommended.lengths[-1:] if single else planned.recommended.lengths
    shapes = Shapes(inputs=inputs, batches=batches, lengths=lengths)
    if sample is None:
        return PlannedShapes(shapes=shapes)
    beyond = sum(rows for length, rows in zip(sample.lengths, sample.rows, strict=True) if length > lengths[-1])
    if beyond:
        note = f"{beyond} of {sample.total_rows} rows of the data set are longer than the longest gear, {lengths[-1]}"
        return PlannedShapes(shapes=shapes, sample=sample, plan=planned, notes=(note,))
    return PlannedShapes(shapes=shapes, sample=sample, plan=planned, proposal=assess(sample, lengths, options))


def _fixed(
    inputs: Mapping[str, tuple[Axis, ...]], tensors: Sequence[GraphTensor], settings: CompileSettings
) -> PlannedShapes:
    """Take a model without dynamic axes as it is. Raises MigrationError if gears are asked for."""
    if settings.batches or settings.lengths:
        shown = "; ".join(f"{tensor.name} {list(tensor.dims)}" for tensor in tensors)
        raise MigrationError(
            f"gears are asked for, and the ONNX has no dynamic axis, its shapes are fixed: {shown}",
            "export with dynamic axes for batch and length",
            "leave batches and lengths under [compile] empty to compile these fixed shapes",
        )
    return PlannedShapes(shapes=Shapes(inputs=inputs), notes=("the ONNX has fixed shapes, so there is one gear",))


def _options(settings: CompileSettings, sample: LengthSample | None, max_length: int) -> PlanOptions:
    longest = max(max_length, sample.lengths[-1]) if sample else max_length
    return PlanOptions(
        max_gears=settings.max_gears, max_batch=settings.max_batch, batches=settings.batches, max_length=longest
    )


def _batches(options: PlanOptions, axes: set[Axis], single: bool) -> tuple[int, ...]:
    if BATCH not in axes:
        return ()
    compiled = options.compiled_batches
    return compiled[-1:] if single and not options.batches else compiled


def _sample(path: Path) -> LengthSample | None:
    if not path.is_file():
        return None
    try:
        with path.open(encoding="utf-8") as file:
            return read_lengths(file, path.name)
    except (OSError, UnicodeDecodeError, PlanError) as error:
        raise MigrationError(f"the lengths of the export cannot be read: {error}") from error


def _positions(path: Path, otherwise: int) -> int:
    return int(path.read_text()) if path.is_file() else otherwise


def _axes(tensor: GraphTensor) -> tuple[Axis, ...]:
    """Say what each axis is: dynamic ones are the batch if they are first, else the length."""
    return tuple(
        dim if isinstance(dim, int) and dim > 0 else BATCH if axis == 0 else LENGTH
        for axis, dim in enumerate(tensor.dims)
    )


def _size(axis: Axis, batch: int, length: int) -> int:
    return axis if isinstance(axis, int) else batch if axis == BATCH else length
