import math

import numpy as np
import pytest
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.prove.accuracy import Score, score
from npuserve.migrate.prove.labelled import Target

TEXT = {"logits": np.array([[0.1, 0.9]], np.float32)}
TOKENS = {"hidden": np.ones((1, 4), np.float32), "logits": np.array([[[1, 0], [0, 1], [1, 0]]], np.float32)}


def test_the_largest_logit_is_the_answer() -> None:
    assert score([TEXT, TEXT], [[Target(None, 1)], [Target(None, 0)]]) == Score(1, 2)


def test_tokens_are_judged_one_by_one() -> None:
    assert score([TOKENS], [[Target(0, 0), Target(1, 1), Target(2, 1)]]) == Score(2, 3)


def test_what_is_no_number_is_never_right() -> None:
    answer = {"logits": np.array([[math.nan, 0.5]], np.float32)}
    assert score([answer], [[Target(None, 0)]]) == Score(0, 1)


def test_texts_without_a_class_do_not_count() -> None:
    assert math.isnan(score([TEXT], [[]]).accuracy)


def test_a_model_of_another_task_is_told() -> None:
    with pytest.raises(MigrationError, match=r"no output has the logits of a token classifier: logits \[1, 2\]"):
        score([TEXT], [[Target(0, 1)]])
