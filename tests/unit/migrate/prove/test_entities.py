import numpy as np
import pytest
from npuserve.migrate.prove.entities import EntityScore, TaggedText, are_tags, entity_score, spans

LABELS = ("O", "B-city", "I-city", "B-name", "I-name")


def answer(*tags: str) -> np.ndarray:
    """Logits whose largest are these tags."""
    return np.eye(len(LABELS), dtype=np.float32)[[[LABELS.index(tag) for tag in tags]]]


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        ("O B-city I-city O", [("city", 1, 3)]),
        ("B-city B-city", [("city", 0, 1), ("city", 1, 2)]),
        ("B-city I-name", [("city", 0, 1)]),
        ("I-city I-city O", []),
        ("B-name I-name", [("name", 0, 2)]),
        ("", []),
    ],
)
def test_an_entity_begins_with_b_and_goes_on_with_i_of_its_kind(tags: str, found: list[tuple[str, int, int]]) -> None:
    assert list(spans(tags.split())) == found


def test_an_entity_is_right_if_kind_and_both_ends_are() -> None:
    texts = [
        TaggedText(tags=("B-city", "I-city"), positions=(0, 1)),
        TaggedText(tags=("B-name", "O"), positions=(0, 1)),
        TaggedText(tags=("O", "O"), positions=(0, 1)),
    ]
    answers = [answer("B-city", "I-city"), answer("B-city", "O"), answer("B-name", "I-name")]
    found = entity_score(answers, texts, LABELS)
    assert found == EntityScore(right=1, found=3, wanted=2)
    assert (found.precision, found.recall, found.f1) == pytest.approx((1 / 3, 1 / 2, 2 / 5))


def test_a_word_that_was_cut_off_is_outside_whatever_the_model_says_elsewhere() -> None:
    text = TaggedText(tags=("B-city", "B-name"), positions=(1, None))
    assert entity_score([answer("B-name", "B-city")], [text], LABELS) == EntityScore(right=1, found=1, wanted=2)


def test_nothing_found_is_no_division_by_zero() -> None:
    nothing = EntityScore(right=0, found=0, wanted=0)
    assert (nothing.precision, nothing.recall, nothing.f1) == (0, 0, 0)


@pytest.mark.parametrize(
    ("labels", "entities"),
    [(LABELS, True), (("O",), False), (("noun", "verb"), False), (("O", "B-x", "verb"), False), ((), False)],
)
def test_labels_are_tags_if_all_are(labels: tuple[str, ...], entities: bool) -> None:
    assert are_tags(labels) is entities
