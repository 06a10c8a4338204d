"""What to send: samples from JSON lines, from texts, or made up."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from npuserve.core.dtype import Dtype
from npuserve.migrate.chain.tensors import Tensors
from npuserve.migrate.errors import MigrationError, PlanError
from npuserve.migrate.load.interface import Input, ModelInterface
from npuserve.migrate.tokenized import read_tokenizer

MASKS = ("attention_mask", "input_mask")
SEGMENTS = ("token_type_ids", "segment_ids")
IDS = "input_ids"

# Of made-up integers: below the smallest vocabularies.
_BELOW = 100
_TEXT = "a"


def read_samples(lines: Iterable[str], source: str, model: ModelInterface) -> list[Tensors]:
    """Read one JSON object a line: the tensors of a request by name, as nested lists, with or without the batch axis.

    Raises MigrationError with `source` and the line's number.
    """
    samples = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            samples.append(_sample(json.loads(line), model))
        except (ValueError, MigrationError) as error:
            raise MigrationError(f"{source}, line {number}: {error}") from error
    return _some(samples, source)


def text_samples(
    lines: Iterable[str], source: str, model: ModelInterface, tokenizer: Path | None, max_length: int | None
) -> list[Tensors]:
    """Read one text a line: as it is for a model of texts, else as the tokens that `tokenizer` makes of it.

    Raises MigrationError.
    """
    texts = [text for line in lines if (text := line.strip())]
    if tokenizer is not None:
        return _some(_tokenized(texts, model, tokenizer, max_length), source)
    if len(model.inputs) != 1 or model.inputs[0].dtype is not Dtype.BYTES:
        raise MigrationError(f"model '{model.name}' does not take texts but tokens: give its --tokenizer")
    tensor = model.inputs[0]
    return _some([{tensor.name: np.full([1] * len(tensor.shape), text, object)} for text in texts], source)


def made_up_samples(
    model: ModelInterface, lengths: Sequence[int], shapes: Mapping[str, Sequence[int]], seed: int
) -> list[Tensors]:
    """Make one sample a length; variable sizes are as long as it says. lengths empty: one sample, of `shapes`.

    shapes: of inputs, without the batch axis. Masks are ones, segments are zeros. Raises MigrationError.
    """
    for name in shapes:
        model.input(name)
    random = np.random.default_rng(seed)
    return [
        {tensor.name: _made_up(tensor, _shape(model, tensor, length, shapes), random) for tensor in model.inputs}
        for length in (lengths or (None,))
    ]


def repeated(samples: Sequence[Tensors], rows: int, model: ModelInterface) -> list[Tensors]:
    """Return the samples with each row so many times. Raises MigrationError."""
    if rows > 1 and not model.batches:
        raise MigrationError(f"model '{model.name}' has no batches: --batch cannot be above 1")
    return [{name: np.repeat(array, rows, axis=0) for name, array in sample.items()} for sample in samples]


def _some(samples: list[Tensors], source: str) -> list[Tensors]:
    if not samples:
        raise MigrationError(f"{source} is empty: at least one sample is needed")
    return samples


def _sample(given: Any, model: ModelInterface) -> Tensors:
    if not isinstance(given, dict):
        raise MigrationError("expected a JSON object, the tensors by the names of the model's inputs")
    return {name: _tensor(model.input(name), value, model.batches) for name, value in given.items()}


def _tensor(tensor: Input, value: Any, batches: bool) -> Any:
    try:
        array = np.array(value, object if tensor.dtype is Dtype.BYTES else None)
    except ValueError as error:
        raise MigrationError(f"the rows of '{tensor.name}' are not of one length") from error
    if tensor.dtype is not Dtype.BYTES and array.dtype.kind not in "biuf":
        raise MigrationError(f"the values of '{tensor.name}' must be numbers")
    if batches and array.ndim == len(tensor.shape) - 1:
        array = array[np.newaxis]
    return _exact(tensor, array)


def _exact(tensor: Input, array: Any) -> Any:
    """Return the array in the input's dtype, where JSON's numbers are what it holds."""
    if tensor.dtype in (Dtype.BYTES, Dtype.BF16):
        return array
    wanted = tensor.dtype.numpy
    if wanted.kind in "iub" and not np.array_equal(array, array.astype(wanted)):
        raise MigrationError(f"the input '{tensor.name}' is of {tensor.dtype.value}, which not all of its values are")
    return array.astype(wanted)


def _tokenized(texts: Sequence[str], model: ModelInterface, tokenizer: Path, longest: int | None) -> list[Tensors]:
    try:
        encoder = read_tokenizer(tokenizer, longest)
    except PlanError as error:
        raise MigrationError(str(error)) from error
    samples: list[Tensors] = []
    for encoding in encoder.encode_batch(texts):
        values = {IDS: encoding.ids, **dict.fromkeys(MASKS, encoding.attention_mask)}
        values |= dict.fromkeys(SEGMENTS, encoding.type_ids)
        unknown = [tensor.name for tensor in model.inputs if tensor.name not in values]
        if unknown:
            raise MigrationError(f"a tokenizer does not fill the input '{unknown[0]}' of model '{model.name}'")
        samples.append({each.name: np.array([values[each.name]], each.dtype.numpy) for each in model.inputs})
    return samples


def _shape(
    model: ModelInterface, tensor: Input, length: int | None, shapes: Mapping[str, Sequence[int]]
) -> tuple[int, ...]:
    batch = (1,) if model.batches else ()
    if tensor.name in shapes:
        return (*batch, *shapes[tensor.name])
    shape = (*batch, *tensor.shape[len(batch) :])
    if length is None and -1 in shape:
        raise MigrationError(
            f"the input '{tensor.name}' of model '{model.name}' has variable sizes, {list(tensor.shape)}: give a data "
            "set, --lengths or --shape"
        )
    return tuple(length if size == -1 and length is not None else size for size in shape)


def _made_up(tensor: Input, shape: tuple[int, ...], random: np.random.Generator) -> Any:
    if tensor.dtype is Dtype.BYTES:
        return np.full(shape, _TEXT, object)
    dtype = tensor.dtype.numpy
    if tensor.name in MASKS:
        return np.ones(shape, dtype)
    if tensor.name in SEGMENTS:
        return np.zeros(shape, dtype)
    if dtype.kind == "f":
        return random.random(shape).astype(dtype)
    return random.integers(0, 2 if dtype.kind == "b" else _BELOW, shape).astype(dtype)
