"""Which inputs the baseline is taken with: of the labelled set, of the examples, or made up."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from npuserve.migrate.chain.settings import ExportSettings, SourceSettings
from npuserve.migrate.chain.tensors import Tensors
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.export.dataset import read_rows, spread
from npuserve.migrate.export.example_inputs import lengths_of, random_texts, read_inputs
from npuserve.migrate.export.onnx_file import fixed_axis, input_names
from npuserve.migrate.export.tokenizing import encode, load_tokenizer, make_tokenizer_json, samples_of

Array = npt.NDArray[Any]

TOKENIZER = "tokenizer.json"
DATASET = "dataset.jsonl"
POSITIONS = "max_length.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextModel:
    """What is known of a text model before it runs. max_length: positions that it has."""

    names: tuple[str, ...]
    vocabulary: int
    max_length: int | None = None


@dataclass(slots=True, kw_only=True)
class Inputs:
    """samples: of the baseline. calibration: others, if there are enough. lengths: tokens of all rows there are."""

    samples: list[Tensors]
    calibration: list[Tensors]
    lengths: list[int]
    notes: list[str] = field(default_factory=list)


def gather(source: SourceSettings, options: ExportSettings, folder: Path, model: TextModel | None) -> Inputs:
    """Return the inputs, with tokenizer and labelled set copied into `folder`. Raises MigrationError."""
    tokenizer = _copy_tokenizer(source, folder)
    max_length = min(options.max_length, (model.max_length if model else None) or options.max_length)
    if max_length < options.max_length:
        (folder / POSITIONS).write_text(f"{max_length}\n")
    if source.inputs is not None:
        if source.dataset is not None:
            shutil.copyfile(source.dataset, folder / DATASET)
        return _of_rows(read_inputs(source.inputs), options)
    if source.dataset is not None:
        if tokenizer is None:
            raise MigrationError(
                "source.dataset needs a tokenizer, and there is none beside the model",
                "name a tokenizer.json as source.tokenizer",
                "or give tokenized rows as source.inputs",
            )
        rows = read_rows(source.dataset)
        shutil.copyfile(source.dataset, folder / DATASET)
        encodings = encode(load_tokenizer(tokenizer, max_length), rows)
        inputs = _of_rows(encodings, options, samples_of)
        inputs.lengths = [len(each) for each in encodings]
        return inputs
    if model is None:
        raise MigrationError(
            "there is nothing to run the model with: neither source.dataset nor source.inputs is given",
            "give a labelled set as source.dataset with a source.tokenizer",
            "or an npz with an array an input as source.inputs",
        )
    inputs = _of_rows(random_texts(model.names, model.vocabulary, options.samples, max_length), options)
    inputs.notes.append("the samples are random tokens, as neither source.dataset nor source.inputs is given")
    return inputs


def fit_to_graph(samples: Sequence[Tensors], model: Any) -> list[Tensors]:
    """Return samples as a graph takes them: its inputs alone, in its dtypes, token types as 0 where there are none.

    Raises MigrationError.
    """
    import onnx

    wanted = {each.name: each.type.tensor_type.elem_type for each in model.graph.input}
    names = input_names(model)
    fitted: list[Tensors] = []
    for sample in samples:
        row = dict(sample)
        if "input_ids" in row:
            row.setdefault("token_type_ids", np.zeros_like(row["input_ids"]))
        if missing := [name for name in names if name not in row]:
            raise MigrationError(
                f"the example inputs do not fit: the graph takes ({', '.join(names)}), and there is no '{missing[0]}' "
                f"among ({', '.join(sample)})",
                "give source.inputs with an array for each of the graph's inputs",
            )
        dtypes = {name: onnx.helper.tensor_dtype_to_np_dtype(wanted[name]) for name in names}
        fitted.append({name: _padded(row[name].astype(dtypes[name], copy=False), model, name) for name in names})
    return fitted


def _padded(tokens: Array, model: Any, name: str) -> Array:
    """Return tokens as long as the graph wants them, if it wants one length alone."""
    length = fixed_axis(model, name, 1)
    if length is None or tokens.ndim != 2 or tokens.dtype.kind not in "iu" or tokens.shape[1] >= length:
        return tokens
    return np.pad(tokens, ((0, 0), (0, length - tokens.shape[1])))


def _copy_tokenizer(source: SourceSettings, folder: Path) -> Path | None:
    target = folder / TOKENIZER
    own = source.checkpoint / TOKENIZER if source.checkpoint else None
    if (found := source.tokenizer or own) is not None and (source.tokenizer or found.exists()):
        try:
            shutil.copyfile(found, target)
        except (FileNotFoundError, IsADirectoryError) as error:
            raise MigrationError(f"source.tokenizer: there is no file {found}") from error
        return target
    if source.checkpoint is not None and make_tokenizer_json(source.checkpoint, target):
        return target
    return None


def _of_rows(rows: Sequence[Any], options: ExportSettings, convert: Any = list) -> Inputs:
    samples = convert(spread(rows, options.samples))
    calibration = convert(spread(rows, options.samples, 0.5))
    return Inputs(samples=samples, calibration=calibration, lengths=lengths_of(samples))
