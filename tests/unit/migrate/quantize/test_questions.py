"""How precisions are asked and graded."""

from collections.abc import Sequence

import numpy as np
import pytest
from npuserve.migrate.chain.tensors import Tensors
from npuserve.migrate.prove.labelled import LabelledSet, Target
from npuserve.migrate.quantize.questions import Answers, Grade, Questions


def samples(*lengths: int) -> list[Tensors]:
    return [{"ids": np.full((1, length), number)} for number, length in enumerate(lengths)]


def logits(*rows: Sequence[float]) -> list[dict[str, np.ndarray]]:
    return [{"logits": np.array([row], np.float32)} for row in rows]


def test_rows_of_equal_shapes_are_asked_together_and_answers_keep_their_order() -> None:
    asked: list[tuple[int, ...]] = []

    def run(batches: Sequence[Tensors]) -> Answers:
        asked.extend(batch["ids"].shape for batch in batches)
        return [{"first": batch["ids"][:, :1]} for batch in batches]

    answers = Questions(samples(4, 6, 4, 4, 6), None).ask(run, rows=2)
    assert [answer["first"].tolist() for answer in answers] == [[[0]], [[1]], [[2]], [[3]], [[4]]]
    assert sorted(asked) == [(1, 4), (2, 4), (2, 6)]


def test_labels_decide_on_the_drop_where_they_are_known() -> None:
    labelled = LabelledSet(samples=samples(2, 2), targets=[[Target(None, 0)], [Target(None, 1)]])
    questions = Questions(samples(2, 2), labelled)
    right, wrong = logits((2, 1), (1, 2)), logits((2, 1), (2, 1))
    float32, int8 = questions.grade(right, right), questions.grade(wrong, right)
    assert (float32.accuracy, int8.accuracy, int8.agreement) == (1.0, 0.5, 0.5)
    assert int8.drop(float32) == 50
    assert float32.drop(int8) == -50


def test_without_labels_other_classes_are_the_drop() -> None:
    questions = Questions(samples(2, 2, 2, 2), None)
    right = logits((2, 1), (1, 2), (1, 2), (1, 2))
    grade = questions.grade(logits((2, 1), (1, 2), (1, 2), (2, 1)), right)
    assert grade.accuracy is None
    assert grade.drop(questions.grade(right, right)) == 25


def test_without_classes_the_cosine_is_the_drop() -> None:
    questions = Questions(samples(2, 2), None)
    right = [{"score": np.array([value], np.float32)} for value in (3.0, 4.0)]
    grade = questions.grade([{"score": np.array([value], np.float32)} for value in (4.0, 3.0)], right)
    assert grade.drop(grade) == pytest.approx(4)


def test_of_tags_the_entities_count_too() -> None:
    before = Grade(accuracy=0.96, f1=0.42, agreement=1, cosine=1)
    after = Grade(accuracy=0.959, f1=0.40, agreement=0.99, cosine=1)
    assert after.drop(before) == pytest.approx(2)


def test_many_changed_classes_make_a_small_drop_doubtful() -> None:
    before = Grade(accuracy=0.8, f1=None, agreement=1, cosine=1, positions=1000)
    after = Grade(accuracy=0.799, f1=None, agreement=0.9, cosine=1, positions=1000)
    assert before.drop_at_worst(before) == 0
    assert after.drop_at_worst(before) == pytest.approx(0.1 + 2 * 1.0)  # a hundred changes: ten more or less, of 1000


def test_without_labels_no_chance_is_added() -> None:
    right = Grade(accuracy=None, f1=None, agreement=1, cosine=1, positions=100)
    other = Grade(accuracy=None, f1=None, agreement=0.99, cosine=1, positions=100)
    assert other.drop_at_worst(right) == other.drop(right) == pytest.approx(1)


def test_answers_of_gears_are_cut_to_the_rows_own_size() -> None:
    right = [{"tags": np.ones((1, 3, 2), np.float32)}]
    wide = [{"node:0:tags": np.pad(right[0]["tags"], [(0, 3), (0, 5), (0, 0)], constant_values=9)}]
    grade = Questions(samples(3), None).grade(wide, right)
    assert grade.agreement == 1
    assert grade.cosine == pytest.approx(1)
