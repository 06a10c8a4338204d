import math

import numpy as np
import pytest
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.serve.agreement import Agreement, agreement


def logits(*rows: tuple[float, ...]) -> dict[str, np.ndarray]:
    return {"logits": np.array(rows, np.float32)}


def test_equal_answers_agree_fully() -> None:
    found = agreement(logits((1, 2), (4, 3)), logits((1, 2), (4, 3)))
    assert found.cosine == pytest.approx(1)
    assert (found.max_abs, found.argmax, found.positions) == (0, 1, 2)


def test_the_largest_difference_and_the_positions_with_another_class_are_told() -> None:
    found = agreement(logits((1, 2), (4, 3)), logits((1, 2), (2, 3)))
    assert found.max_abs == 2
    assert found.argmax == 0.5


def test_of_many_answers_the_worst_counts() -> None:
    good, bad = agreement(logits((1, 0)), logits((1, 0))), agreement(logits((1, 0)), logits((0, 1)))
    both = good + bad
    assert (both.cosine, both.max_abs, both.argmax) == (0, 1, 0.5)


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
@pytest.mark.parametrize("is_first", [True, False])
def test_what_is_no_number_agrees_with_nothing(wrong: float, is_first: bool) -> None:
    bad, good = agreement(logits((wrong, 1)), logits((wrong, 1))), agreement(logits((1, 0)), logits((1, 0)))
    both = bad + good if is_first else good + bad
    assert math.isnan(both.cosine)
    assert math.isnan(both.max_abs)
    assert both.argmax == 0.5


def test_zeros_agree_with_zeros_alone() -> None:
    assert agreement(logits((0, 0)), logits((0, 0))).cosine == 1
    assert agreement(logits((0, 1)), logits((0, 0))).cosine == 0


def test_texts_agree_if_they_are_equal() -> None:
    a, b = {"label": np.array([b"good"], object)}, {"label": np.array(["bad"], object)}
    assert agreement(a, a).argmax == 1
    assert agreement(a, b) == Agreement(cosine=0.0, max_abs=1.0, same=0, positions=1)


def test_a_missing_output_and_another_shape_are_named() -> None:
    with pytest.raises(MigrationError, match=r"no output 'logits', it has none"):
        agreement({}, logits((1, 2)))
    with pytest.raises(MigrationError, match=r"the shape \[1, 2\], expected \[2, 2\]"):
        agreement(logits((1, 2)), logits((1, 2), (3, 4)))
