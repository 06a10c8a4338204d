"""Which shapes an ONNX model runs natively, and what its outputs are in each: the model itself is asked.

A model fits if requests can be copied into fixed shapes: numbers of rank 1 and more, no input that may be left out, and
outputs that follow the rows and the length or are always the same.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product

from npuserve import _engine
from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.config.buckets import bucket_options
from npuserve.config.contradiction import full_shape
from npuserve.config.onnx_gears import OnnxGears, default_lengths, default_rows
from npuserve.core.dtype import Dtype
from npuserve.core.signature import Gear, ModelSignature, TensorSpec
from npuserve.core.tensor import format_shape

Shape = tuple[int, ...]


class UnfitError(Exception):
    """Why a model does not run in gears."""


class GearPlan:
    """The gears to find for a model whose config is complete and agrees with it.

    given: by the config; without, rows and lengths are chosen. Raises UnfitError; ServeError for parameters of buckets.
    """

    def __init__(self, config: ModelConfig, signature: ModelSignature, given: OnnxGears | None) -> None:
        listed = {output.name for output in config.output}
        self.inputs = signature.inputs
        self.outputs = tuple(spec for spec in signature.outputs if spec.name in listed)
        self._batches = config.max_batch_size > 0
        _require_fit(config, self.inputs, self.outputs)
        self._shapes = _input_shapes(config, self.inputs)
        varies = any(-1 in shape for shape in self._rest())
        self._is_given = given is not None
        self._gears = self._checked(given, varies=varies) if given else self._chosen(config, varies=varies)
        self._told: dict[tuple[int, int], list[Shape]] = {}  # what the model said, by rows and length

    def find(self, session: _engine.OnnxSession) -> ModelSignature:
        """Return the signature with gears and with outputs as they are. Blocks. Raises UnfitError."""
        lengths = self._accepted_lengths(session)
        axes = self._output_axes(session, lengths)
        gears = [
            Gear(tuple(self._input_shapes(rows, length)), tuple(axis(rows, length) for axis in axes))
            for length, rows in product(lengths or (0,), self._gears.rows)
        ]
        outputs = [replace(spec, shape=axis(-1, -1)) for spec, axis in zip(self.outputs, axes, strict=True)]
        return ModelSignature(inputs=self.inputs, outputs=tuple(outputs), gears=tuple(gears))

    def _rest(self) -> Sequence[Shape]:
        """Return the inputs' shapes without the batch."""
        return [shape[1:] if self._batches else shape for shape in self._shapes]

    def _checked(self, given: OnnxGears, *, varies: bool) -> OnnxGears:
        if not self._batches:
            raise UnfitError("lists rows, but the model does not batch: give it a max_batch_size above 0")
        if varies and not given.lengths:
            raise UnfitError(f"gives no lengths, but those of input {self._varying()} vary: add some, as ' x 16,32,64'")
        if given.lengths and not varies:
            raise UnfitError("gives lengths, but no input's length varies: list rows alone")
        return given

    def _chosen(self, config: ModelConfig, *, varies: bool) -> OnnxGears:
        rows = default_rows(max(1, config.max_batch_size), has_lengths=varies)
        if not varies:
            return OnnxGears(rows, ())
        if not self._batches:
            raise UnfitError(f"the length of input {self._varying()} varies, and the model does not batch")
        lengths = default_lengths()
        two = [Gear(tuple(self._input_shapes(1, length)), ()) for length in lengths[:2]]
        if not bucket_options(config, ModelSignature(inputs=self.inputs, outputs=(), gears=tuple(two))).is_on:
            raise UnfitError(f"the length of input {self._varying()} varies, and requests may not be padded")
        return OnnxGears(rows, lengths)

    def _varying(self) -> str:
        return next(
            f"'{spec.name}' of shape {format_shape(spec.shape)}"
            for spec, shape in zip(self.inputs, self._rest(), strict=True)
            if -1 in shape
        )

    def _input_shapes(self, rows: int, length: int) -> list[Shape]:
        return [_filled(shape, rows if self._batches else None, length) for shape in self._shapes]

    def _tell(self, session: _engine.OnnxSession, rows: int, length: int) -> list[Shape]:
        if (rows, length) not in self._told:
            self._told[rows, length] = session.output_shapes(self._input_shapes(rows, length))
        return self._told[rows, length]

    def _accepted_lengths(self, session: _engine.OnnxSession) -> tuple[int, ...]:
        """Return the lengths that the model takes: tables of positions end somewhere."""
        lengths = self._gears.lengths
        if not lengths or self._refusal(session, lengths[-1]) is None:
            return lengths
        accepted, refused = 0, len(lengths)  # the first so many are, from the second on none is
        while accepted < refused:
            middle = (accepted + refused) // 2
            if self._refusal(session, lengths[middle]) is None:
                accepted = middle + 1
            else:
                refused = middle
        if self._is_given or not accepted:
            longest = f"; {lengths[accepted - 1]} is the longest listed that it takes" if accepted else ""
            raise UnfitError(
                f"has length {lengths[accepted]}, which the model refuses{longest}: "
                f"{self._refusal(session, lengths[accepted])}"
            )
        return lengths[:accepted]

    def _refusal(self, session: _engine.OnnxSession, length: int) -> str | None:
        try:
            self._tell(session, 1, length)
        except _engine.OnnxError as error:
            return str(error)
        return None

    def _output_axes(self, session: _engine.OnnxSession, lengths: Sequence[int]) -> list[Callable[[int, int], Shape]]:
        """Return for each output what gives its shape at so many rows and such a length. Raises UnfitError."""
        short, long = (lengths[0], lengths[-1]) if lengths else (0, 0)
        if lengths and short == long:
            # What differs between two lengths follows the length.
            short = max(1, long - 1)
        many = min(2, self._gears.rows[-1])
        try:
            told = {
                (1, short): self._tell(session, 1, short),
                (1, long): self._tell(session, 1, long),
                (many, short): self._tell(session, many, short),
            }
        except _engine.OnnxError as error:
            raise UnfitError(f"cannot be: the model fails with inputs of zeros: {error}") from error
        ones = self._of_ones(session, short) or told[1, short]
        return [
            self._output_shape(spec, {point: shapes[index] for point, shapes in told.items()}, ones[index])
            for index, spec in enumerate(self.outputs)
        ]

    def _of_ones(self, session: _engine.OnnxSession, length: int) -> list[Shape] | None:
        """Return the shapes for other content: None if the model refuses it, as tables of one entry do."""
        try:
            return session.output_shapes(self._input_shapes(1, length), ones=True)
        except _engine.OnnxError:
            return None

    def _output_shape(
        self, spec: TensorSpec, told: Mapping[tuple[int, int], Shape], ones: Shape
    ) -> Callable[[int, int], Shape]:
        base = next(iter(told.values()))
        follows: list[str] = []
        for axis, extent in enumerate(base):
            extents = {point: shape[axis] for point, shape in told.items() if len(shape) == len(base)}
            if self._batches and axis == 0 and all(given == rows for (rows, _), given in extents.items()):
                follows.append("rows")
            elif set(extents.values()) == {extent} and not (self._batches and axis == 0):
                follows.append("")
            elif all(given == length for (_, length), given in extents.items()):
                follows.append("length")
            else:
                break
        if len(follows) < len(base) or ones != base:
            shapes = " and ".join(format_shape(shape) for shape in dict.fromkeys((*told.values(), ones)))
            raise UnfitError(
                f"cannot be: output '{spec.name}' has shapes {shapes}, which follow neither the rows nor the length"
            )

        def shape_at(rows: int, length: int) -> Shape:
            sizes = {"rows": rows, "length": length}
            return tuple(sizes.get(what, extent) for what, extent in zip(follows, base, strict=True))

        return shape_at


def _require_fit(config: ModelConfig, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> None:
    if config.HasField("sequence_batching"):
        raise UnfitError("cannot be: the model has sequences")
    if not inputs or not outputs:
        raise UnfitError("cannot be: the model has no inputs or no outputs")
    for tensor in config.input:
        if tensor.optional:
            raise UnfitError(f"cannot be: requests may leave out input '{tensor.name}'")
    for spec in (*inputs, *outputs):
        if spec.dtype is Dtype.BYTES:
            raise UnfitError(f"cannot be: the elements of '{spec.name}' are texts")
        if not spec.shape:
            raise UnfitError(f"cannot be: '{spec.name}' has no dimensions")


def _input_shapes(config: ModelConfig, inputs: Sequence[TensorSpec]) -> list[Shape]:
    """Return the inputs' full shapes as the config narrows them."""
    declared = {tensor.name: full_shape(config, tensor) for tensor in config.input}
    shapes: list[Shape] = []
    for spec in inputs:
        if spec.name not in declared:
            raise UnfitError(f"cannot be: the config does not list input '{spec.name}'")
        shapes.append(
            tuple(given if dim == -1 else dim for dim, given in zip(spec.shape, declared[spec.name], strict=True))
        )
    return shapes


def _filled(shape: Shape, rows: int | None, length: int) -> Shape:
    filled = tuple(length if dim == -1 else dim for dim in shape)
    return filled if rows is None else (rows, *filled[1:])
