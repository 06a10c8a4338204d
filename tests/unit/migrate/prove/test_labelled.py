import json
from pathlib import Path

import numpy as np
import pytest
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.prove.labelled import LabelledSet, Target, read_labelled
from tokenizers import Tokenizer, models, pre_tokenizers, processors

VOCABULARY = {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "good": 3, "bad": 4, "film": 5, "un": 6, "##like": 7}


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    built = Tokenizer(models.WordPiece(VOCABULARY, unk_token="[UNK]"))
    built.pre_tokenizer = pre_tokenizers.Whitespace()
    built.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    built.save(str(tmp_path / "tokenizer.json"))
    return tmp_path / "tokenizer.json"


def read(tokenizer: Path, *lines: object, labels: tuple[str, ...] = ("neg", "pos"), most: int = 100) -> LabelledSet:
    dataset = tokenizer.with_name("dataset.jsonl")
    dataset.write_text("".join(json.dumps(line) + "\n\n" for line in lines))
    return read_labelled(dataset, tokenizer, labels, 16, most)


def test_a_text_has_its_tokens_and_its_class(tokenizer: Path) -> None:
    found = read(tokenizer, {"text": "good film", "label": "pos"}, {"text": "bad", "label": 0})
    assert found.samples[0]["input_ids"].tolist() == [[1, 3, 5, 2]]
    assert found.samples[0]["attention_mask"].dtype == np.int64
    assert found.samples[0]["position_ids"].tolist() == [[0, 1, 2, 3]]
    assert found.targets == [[Target(None, 1)], [Target(None, 0)]]


def test_a_word_is_judged_by_its_first_token(tokenizer: Path) -> None:
    found = read(tokenizer, {"words": ["unlike", "bad", "film"], "labels": ["pos", "neg", "pos"]})
    assert found.samples[0]["input_ids"].tolist() == [[1, 6, 7, 4, 5, 2]]
    assert found.targets == [[Target(1, 1), Target(3, 0), Target(4, 1)]]


def test_words_that_were_cut_off_or_do_not_count_have_no_class(tokenizer: Path) -> None:
    found = read(tokenizer, {"words": ["bad"] * 20, "labels": [-100, *["neg"] * 19]})
    assert [target.position for target in found.targets[0]] == list(range(2, 15))


def test_a_large_set_is_sampled_evenly(tokenizer: Path) -> None:
    found = read(tokenizer, *[{"text": "bad", "label": number % 2} for number in range(10)], most=5)
    assert len(found.samples) == len(found.targets) == 5
    assert {target.label for (target,) in found.targets} == {0}


def test_a_set_without_labels_is_one_nobody_knows_the_classes_of(tokenizer: Path) -> None:
    found = read(tokenizer, {"text": "good film"}, {"text": "bad"})
    assert len(found.samples) == 2
    assert list(found.targets) == [[], []]


def test_a_line_without_a_label_among_others_is_named(tokenizer: Path) -> None:
    with pytest.raises(MigrationError, match=r"line 3: there is no `label` of the text.*which other lines have"):
        read(tokenizer, {"text": "bad", "label": 0}, {"text": "good"})


def test_tags_of_entities_are_kept_with_the_tokens_of_their_words(tokenizer: Path) -> None:
    tags = ("O", "B-film", "I-film")
    given = {"words": ["unlike", "film", " ", "film"], "labels": ["O", "B-film", "O", 2]}
    (text,) = read(tokenizer, given, labels=tags).tagged
    assert list(text.tags) == ["O", "B-film", "O", "I-film"]
    assert list(text.positions) == [1, 3, None, 4]


def test_words_that_do_not_count_are_in_no_entity(tokenizer: Path) -> None:
    given = {"words": ["good", "film"], "labels": [-100, "B-film"]}
    (text,) = read(tokenizer, given, labels=("O", "B-film")).tagged
    assert (list(text.tags), list(text.positions)) == (["B-film"], [2])


def test_other_labels_make_no_entities(tokenizer: Path) -> None:
    assert read(tokenizer, {"words": ["bad"], "labels": ["neg"]}).tagged == ()


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ({"text": "bad", "label": "great"}, "line 1: the label 'great' is none of the model's: neg, pos"),
        ({"text": "bad", "label": 2}, "line 1: the label 2 is none of the model's"),
        ({"text": "bad", "label": True}, "line 1: the label True is none"),
        ({"words": ["bad", "film"], "labels": ["neg"]}, "line 1: `labels` must be as many as `words`"),
    ],
)
def test_wrong_lines_are_named(tokenizer: Path, line: object, sentence: str) -> None:
    with pytest.raises(MigrationError, match=sentence):
        read(tokenizer, line)


def test_without_labels_of_the_model_numbers_are_classes(tokenizer: Path) -> None:
    assert read(tokenizer, {"text": "bad", "label": 7}, labels=()).targets == [[Target(None, 7)]]
