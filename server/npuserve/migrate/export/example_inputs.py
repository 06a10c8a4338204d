"""Inputs that do not come from text: an npz of examples, or random tokens where there is nothing better."""

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from npuserve.migrate.chain.tensors import Tensors, load_samples
from npuserve.migrate.errors import MigrationError

# The range of a made-up token: from behind the special ones of BERT's vocabulary, if there are so many.
_SPECIAL = 1000
_SHORTEST = 4


def read_inputs(path: Path) -> list[Tensors]:
    """Read examples: an array an input, whose first axis is the rows, or as `save_samples` writes them.

    Raises MigrationError.
    """
    try:
        with np.load(path) as archive:
            names = list(archive.files)
            arrays = {name: archive[name] for name in names}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise MigrationError(
            f"source.inputs: cannot read {path}: {error}",
            "write it by numpy.savez(path, input_ids=..., attention_mask=...), an array an input",
        ) from error
    if not names:
        raise MigrationError(f"source.inputs: {path} holds no arrays")
    if all("/" in name and name.partition("/")[0].isdecimal() for name in names):
        return [*load_samples(path)]
    rows = {array.shape[0] if array.ndim else 0 for array in arrays.values()}
    if len(rows) > 1 or 0 in rows:
        raise MigrationError(
            f"source.inputs: the arrays of {path} must have the same first axis, the rows, and at least one row: "
            + ", ".join(f"{name} is {list(array.shape)}" for name, array in arrays.items())
        )
    return [{name: array[row : row + 1] for name, array in arrays.items()} for row in range(rows.pop())]


def random_texts(names: tuple[str, ...], vocabulary: int, count: int, max_length: int) -> list[Tensors]:
    """Return made-up rows of tokens, always the same, from a few tokens to `max_length`."""
    generator = np.random.default_rng(0)
    samples: list[Tensors] = []
    for length in np.linspace(min(_SHORTEST, max_length), max_length, count).astype(int):
        made: Mapping[str, Any] = {
            "input_ids": generator.integers(min(_SPECIAL, vocabulary // 2), vocabulary, (1, length)),
            "attention_mask": np.ones((1, length), np.int64),
            "token_type_ids": np.zeros((1, length), np.int64),
        }
        samples.append({name: made[name].astype(np.int64) for name in names})
    return samples


def lengths_of(samples: Sequence[Tensors]) -> list[int]:
    """Return the tokens of each sample: those its mask counts, or else the second axis of its first input.

    Of numbers that are no tokens the axis is a length only if it varies: a picture has its channels there.
    """
    for name in ("attention_mask", "input_mask"):
        if samples and name in samples[0]:
            return [max(int(sample[name].sum(axis=-1).max()), 1) for sample in samples]
    first = [next(iter(sample.values())) for sample in samples]
    if not first or any(array.ndim < 2 for array in first):
        return []
    lengths = [int(array.shape[1]) for array in first]
    return lengths if first[0].dtype.kind in "iu" or len(set(lengths)) > 1 else []
