from pathlib import Path

import numpy as np
import pytest
from models import unpack_encoder
from tokens import Encoded, TextEncoder, padded, split_words, word_tags


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> TextEncoder:
    folder: Path = unpack_encoder(tmp_path_factory.mktemp("encoder"))
    return TextEncoder(folder, max_tokens=8)


def test_a_word_starts_at_its_first_piece(encoder: TextEncoder) -> None:
    encoded = encoder.words(["hello", "npuserve", "!"])
    assert encoded.word_starts[:2] == (1, 2)
    assert encoded.word_starts[2] == len(encoded) - 2


def test_a_word_that_is_cut_off_has_no_start_and_is_tagged_outside(encoder: TextEncoder) -> None:
    encoded = encoder.words(["one"] * 9)
    assert len(encoded) == 8
    assert encoded.word_starts == (1, 2, 3, 4, 5, 6, -1, -1, -1)
    logits = np.tile(np.array([0.0, 1.0], np.float32), (8, 1))
    assert word_tags(logits, encoded, ("O", "B-x")) == ["B-x"] * 6 + ["O"] * 3


def test_the_shorter_row_is_padded_and_masked() -> None:
    ids, mask = padded([Encoded((5, 6, 7)), Encoded((8,))])
    assert ids.tolist() == [[5, 6, 7], [8, 0, 0]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0]]


def test_words_are_cut_as_the_corpus_cuts_them() -> None:
    assert split_words("@paul it's the Empire State, see http://t.co/x1 #nyc ...") == [
        "@paul", "it", "'s", "the", "Empire", "State", ",", "see", "http://t.co/x1", "#nyc", "...",
    ]  # fmt: skip
