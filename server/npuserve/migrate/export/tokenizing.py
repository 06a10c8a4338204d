"""Rows of the labelled set as the model's inputs, by its own tokenizer."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from npuserve.migrate.chain.tensors import Tensors
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.export.dataset import Row
from npuserve.migrate.export.packages import imported


def load_tokenizer(path: Path, max_length: int) -> Any:
    """Read a tokenizer.json; it cuts at `max_length` tokens, special ones included. Raises MigrationError."""
    tokenizers = imported("tokenizers")
    try:
        tokenizer = tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # the package raises nothing narrower
        raise MigrationError(
            f"the tokenizer {path} cannot be read: {error}",
            "name a tokenizer.json (of Hugging Face's `tokenizers`) as source.tokenizer",
        ) from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length)
    return tokenizer


def make_tokenizer_json(checkpoint: Path, target: Path) -> bool:
    """Write the tokenizer.json of a checkpoint that has only its older files; return whether it has any."""
    if not any((checkpoint / name).exists() for name in ("vocab.txt", "spiece.model", "sentencepiece.bpe.model")):
        return False
    transformers = imported("transformers")
    with contextlib.suppress(OSError, ValueError, AttributeError):
        tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint, local_files_only=True)
        tokenizer.backend_tokenizer.save(str(target))
    return target.exists()


def encode(tokenizer: Any, rows: Sequence[Row]) -> list[Any]:
    """Return the encodings of rows."""
    pretokenized = [isinstance(row.text, list) for row in rows]
    if any(pretokenized) and not all(pretokenized):
        raise MigrationError("source.dataset: some lines have `text`, others `words`: all must have the same")
    inputs = [row.text if row.pair is None else (row.text, row.pair) for row in rows]
    return list(tokenizer.encode_batch(inputs, is_pretokenized=bool(pretokenized and pretokenized[0])))


def samples_of(encodings: Sequence[Any]) -> list[Tensors]:
    """Return the inputs of each encoding at its true length, `[1, length]`.

    token_type_ids: only if some encoding has another than 0, as models take them for 0 by themselves.
    """
    typed = any(any(each.type_ids) for each in encodings)
    samples: list[Tensors] = []
    for each in encodings:
        sample = {"input_ids": [each.ids], "attention_mask": [each.attention_mask]}
        if typed:
            sample["token_type_ids"] = [each.type_ids]
        samples.append({name: np.array(value, np.int64) for name, value in sample.items()})
    return samples
