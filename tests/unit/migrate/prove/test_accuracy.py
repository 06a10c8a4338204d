import math

import numpy as np
import pytest
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.prove.accuracy import Score, score
from npuserve.migrate.prove.entities import EntityScore, TaggedText
from npuserve.migrate.prove.labelled import LabelledSet, Target

TAGS = ("O", "B-city", "I-city")
TEXT = {"logits": np.array([[0.1, 0.9]], np.float32)}
TOKENS = {"hidden": np.ones((1, 4), np.float32), "logits": np.array([[[1, 0], [0, 1], [1, 0]]], np.float32)}


def asked(*targets: list[Target]) -> LabelledSet:
    return LabelledSet(samples=[{}] * len(targets), targets=targets)


def test_the_largest_logit_is_the_answer() -> None:
    assert score([TEXT, TEXT], asked([Target(None, 1)], [Target(None, 0)])) == Score(1, 2)


def test_tokens_are_judged_one_by_one() -> None:
    assert score([TOKENS], asked([Target(0, 0), Target(1, 1), Target(2, 1)])) == Score(2, 3)


def test_what_is_no_number_is_never_right() -> None:
    answer = {"logits": np.array([[math.nan, 0.5]], np.float32)}
    assert score([answer], asked([Target(None, 0)])) == Score(0, 1)


def test_texts_without_a_class_do_not_count() -> None:
    assert math.isnan(score([TEXT], asked([])).accuracy)


def test_a_model_of_another_task_is_told() -> None:
    with pytest.raises(MigrationError, match=r"no output has the logits of a token classifier: logits \[1, 2\]"):
        score([TEXT], asked([Target(0, 1)]))


def test_tags_of_entities_are_scored_by_the_entities_that_they_make() -> None:
    answer = {"logits": np.eye(3, dtype=np.float32)[[[0, 1, 2, 1]]]}
    words = TaggedText(tags=("B-city", "I-city", "B-city"), positions=(1, 2, 3))
    given = LabelledSet(samples=[{}], targets=[[Target(1, 1), Target(2, 2), Target(3, 1)]], tagged=[words], labels=TAGS)
    assert score([answer], given) == Score(3, 3, EntityScore(right=2, found=2, wanted=2))
