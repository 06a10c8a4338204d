"""Lengths of texts, counted by a model's own tokenizer (the optional extra `npuserve[plan]`)."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from npuserve.migrate.errors import PlanError
from npuserve.migrate.sample import LengthSample, counted

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# Texts that are tokenized at once, by all cores.
_TEXTS = 1024


def read_texts(lines: Iterable[str], tokenizer: Path, longest: int | None = None) -> LengthSample:
    """Read one text a line and count its tokens, special ones included; blank lines do not count.

    tokenizer: a `tokenizer.json`; it cuts long texts as it says itself, and at `longest`. Raises PlanError.
    """
    return counted(_lengths(lines, read_tokenizer(tokenizer, longest)))


def read_tokenizer(path: Path, longest: int | None = None) -> "Tokenizer":
    """Read a `tokenizer.json`, without its padding, cutting at `longest` at most. Raises PlanError."""
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise PlanError("--texts needs the package tokenizers: pip install 'npuserve[plan]'") from error
    try:
        encoder = Tokenizer.from_file(str(path))
    except Exception as error:  # the package raises nothing narrower
        raise PlanError(f"--tokenizer: cannot read {path}: {error}") from error
    encoder.no_padding()
    own = encoder.truncation
    if longest is not None and (own is None or own["max_length"] > longest):
        encoder.enable_truncation(longest)
    return encoder


def _lengths(lines: Iterable[str], encoder: "Tokenizer") -> Iterator[int]:
    texts = (text for line in lines if (text := line.strip()))
    while chunk := list(islice(texts, _TEXTS)):
        yield from (len(encoding) for encoding in encoder.encode_batch_fast(chunk))
