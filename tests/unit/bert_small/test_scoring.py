import pytest
from scoring import Span, accuracy, entity_f1, macro_f1, spans


def test_a_span_ends_where_its_kind_ends() -> None:
    tags = ["B-person", "I-person", "I-company", "O", "B-movie", "B-movie", "I-movie"]
    assert spans(tags) == [Span("person", 0, 2), Span("movie", 4, 5), Span("movie", 5, 7)]


def test_an_inside_tag_that_nothing_begins_is_no_entity() -> None:
    assert spans(["I-person", "O", "I-movie"]) == []


def test_an_entity_counts_only_if_kind_start_and_end_agree() -> None:
    expected = [["B-person", "I-person", "O"], ["B-movie", "O", "O"], ["B-movie", "O", "O"]]
    predicted = [["B-person", "I-person", "O"], ["B-person", "O", "O"], ["B-movie", "I-movie", "B-movie"]]
    score = entity_f1(expected, predicted)
    assert score.precision == pytest.approx(1 / 4)
    assert score.recall == pytest.approx(1 / 3)
    assert score.f1 == pytest.approx(2 / 7)


def test_the_same_span_in_another_sentence_is_not_the_same_entity() -> None:
    assert entity_f1([["B-movie"], ["O"]], [["O"], ["B-movie"]]).f1 == 0.0


def test_macro_f1_weighs_a_rare_label_like_a_frequent_one() -> None:
    expected, predicted = ["a"] * 8 + ["b"] * 2, ["a"] * 10
    assert accuracy(expected, predicted) == pytest.approx(0.8)
    assert macro_f1(expected, predicted) == pytest.approx((8 / 9) / 2)
