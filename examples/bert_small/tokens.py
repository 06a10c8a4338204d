"""Text to token ids with the encoder's own tokenizer, and tags back to words."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

MAX_TOKENS = 64

# How the tagged corpus cuts its words: names, hash tags and links stay whole, clitics ('m, 's) stand alone.
_WORD = re.compile(r"[@#]\w+|https?://\S+|'\w+|\w+(?:[-&.]\w+)*|[^\w\s]+")


@dataclass(frozen=True, slots=True)
class Encoded:
    """One tokenized sentence: its ids, and the positions at which its words start (empty unless made from words)."""

    ids: tuple[int, ...]
    word_starts: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)


class TextEncoder:
    """The tokenizer of the encoder in `folder`; cuts at `max_tokens`, special tokens included."""

    def __init__(self, folder: Path, max_tokens: int = MAX_TOKENS) -> None:
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_tokens)

    def sentence(self, text: str) -> Encoded:
        """Tokenize a text."""
        return Encoded(tuple(self._tokenizer.encode(text).ids))

    def words(self, words: Sequence[str]) -> Encoded:
        """Tokenize words; a word that is cut off or has no token has no start, and so no tag of its own."""
        encoding = self._tokenizer.encode(list(words), is_pretokenized=True)
        starts = [-1] * len(words)
        for position, word in reversed(list(enumerate(encoding.word_ids))):
            if word is not None:
                starts[word] = position
        return Encoded(tuple(encoding.ids), tuple(starts))


def split_words(text: str) -> list[str]:
    """Cut a text into words as the tagged corpus has them."""
    return _WORD.findall(text)


def padded(sentences: Sequence[Encoded]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return `input_ids` and `attention_mask`, int64 `[batch, longest]`, padded with 0."""
    longest = max(len(sentence) for sentence in sentences)
    ids = np.zeros((len(sentences), longest), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, sentence in enumerate(sentences):
        ids[row, : len(sentence)] = sentence.ids
        mask[row, : len(sentence)] = 1
    return ids, mask


def word_tags(logits: npt.NDArray[np.float32], sentence: Encoded, tags: Sequence[str]) -> list[str]:
    """Return each word's tag, `O` for words without a position, from one sentence's logits `[sequence, tags]`."""
    best = logits.argmax(-1)
    return [tags[int(best[start])] if start >= 0 else "O" for start in sentence.word_starts]
