"""Data sets and made-up tensors."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from npuserve.core.dtype import Dtype
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.load.interface import Input, ModelInterface
from npuserve.migrate.load.samples import made_up_samples, read_samples, repeated, text_samples
from tokenizers import Tokenizer, models, pre_tokenizers

TOKENS = ModelInterface(
    "tokens",
    (Input("input_ids", Dtype.INT32, (-1, -1)), Input("attention_mask", Dtype.INT64, (-1, -1))),
    batches=True,
    is_decoupled=False,
)
TEXTS = ModelInterface("texts", (Input("TEXT", Dtype.BYTES, (-1, 1)),), batches=True, is_decoupled=False)
FIXED = ModelInterface("fixed", (Input("x", Dtype.FP32, (2, 3)),), batches=False, is_decoupled=False)


def as_lists(sample: Any) -> dict[str, Any]:
    return {name: array.tolist() for name, array in sample.items()}


def test_json_lines_may_leave_the_batch_axis_out() -> None:
    lines = [
        '{"input_ids": [1, 2], "attention_mask": [1, 1]}\n',
        "\n",
        '{"input_ids": [[3], [4]], "attention_mask": [[1], [1]]}\n',
    ]
    first, second = read_samples(lines, "f", TOKENS)
    assert as_lists(first) == {"input_ids": [[1, 2]], "attention_mask": [[1, 1]]}
    assert as_lists(second) == {"input_ids": [[3], [4]], "attention_mask": [[1], [1]]}
    assert (first["input_ids"].dtype, first["attention_mask"].dtype) == (np.dtype(np.int32), np.dtype(np.int64))


def test_json_lines_have_texts_for_models_of_texts() -> None:
    (sample,) = read_samples(['{"TEXT": ["good"]}'], "f", TEXTS)
    assert as_lists(sample) == {"TEXT": [["good"]]}


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("[1]", "f, line 1: expected a JSON object"),
        ("{", "f, line 1: "),
        ('{"ids": [1]}', "f, line 1: model 'tokens' has no input 'ids', only input_ids, attention_mask"),
        ('{"input_ids": [[1], [2, 3]]}', "the rows of 'input_ids' are not of one length"),
        ('{"input_ids": ["a"]}', "the values of 'input_ids' must be numbers"),
        ('{"input_ids": [0.5]}', "'input_ids' is of INT32, which not all of its values are"),
        ('{"input_ids": [4294967296]}', "'input_ids' is of INT32, which not all of its values are"),
        ("", "f is empty"),
    ],
)
def test_lines_that_are_no_samples_are_named(line: str, sentence: str) -> None:
    with pytest.raises(MigrationError, match=sentence):
        read_samples([line], "f", TOKENS)


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    made = Tokenizer(models.WordLevel({"[UNK]": 0, "so": 1, "good": 2}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    path = tmp_path / "tokenizer.json"
    made.save(str(path))
    return path


def test_texts_become_tokens_of_their_own_length(tokenizer: Path) -> None:
    short, long = text_samples(["good\n", " \n", "so so good bad\n"], "f", TOKENS, tokenizer, 3)
    assert as_lists(short) == {"input_ids": [[2]], "attention_mask": [[1]]}
    assert as_lists(long) == {"input_ids": [[1, 1, 2]], "attention_mask": [[1, 1, 1]]}
    assert short["attention_mask"].dtype == np.int64


def test_a_model_of_texts_gets_them_as_they_are() -> None:
    assert [as_lists(each) for each in text_samples(["a b\n", "c\n"], "f", TEXTS, None, None)] == [
        {"TEXT": [["a b"]]},
        {"TEXT": [["c"]]},
    ]


def test_texts_need_a_tokenizer_that_can_be_read_and_a_model_of_tokens(tokenizer: Path, tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match="give its --tokenizer"):
        text_samples(["a"], "f", TOKENS, None, None)
    with pytest.raises(MigrationError, match="cannot read"):
        text_samples(["a"], "f", TOKENS, tmp_path / "none.json", None)
    with pytest.raises(MigrationError, match="does not fill the input 'x' of model 'fixed'"):
        text_samples(["a"], "f", FIXED, tokenizer, None)
    with pytest.raises(MigrationError, match="f is empty"):
        text_samples(["\n"], "f", TOKENS, tokenizer, None)


def test_made_up_samples_have_the_lengths_and_masks_of_ones() -> None:
    samples = made_up_samples(TOKENS, (4, 7), {}, seed=1)
    assert [each["input_ids"].shape for each in samples] == [(1, 4), (1, 7)]
    assert all((each["attention_mask"] == 1).all() for each in samples)
    assert len(set(samples[1]["input_ids"].ravel().tolist())) > 1
    again = made_up_samples(TOKENS, (4, 7), {}, seed=1)
    assert as_lists(samples[1]) == as_lists(again[1])


def test_shapes_say_what_lengths_do_not() -> None:
    (sample,) = made_up_samples(TOKENS, (), {"input_ids": (5,), "attention_mask": (6,)}, seed=0)
    assert (sample["input_ids"].shape, sample["attention_mask"].shape) == ((1, 5), (1, 6))
    (fixed,) = made_up_samples(FIXED, (), {}, seed=0)
    assert (fixed["x"].shape, fixed["x"].dtype) == ((2, 3), np.dtype(np.float32))
    with pytest.raises(MigrationError, match=r"variable sizes.*give a data set, --lengths or --shape"):
        made_up_samples(TOKENS, (), {}, seed=0)
    with pytest.raises(MigrationError, match="no input 'y'"):
        made_up_samples(FIXED, (), {"y": (1,)}, seed=0)


def test_rows_are_repeated_where_there_is_a_batch() -> None:
    (sample,) = repeated([{"input_ids": np.array([[1, 2]])}], 3, TOKENS)
    assert sample["input_ids"].tolist() == [[1, 2]] * 3
    with pytest.raises(MigrationError, match="has no batches"):
        repeated([{"x": np.zeros((2, 3))}], 2, FIXED)
