"""Searching the fewest layers to keep, with questions that are answered from a list."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from npuserve.migrate.compare.bisect import fewest

LAYERS = [f"layer_{number}" for number in range(200)]


def needs(*names: str) -> tuple[Callable[[Sequence[str]], bool], list[Sequence[str]]]:
    asked: list[Sequence[str]] = []

    def holds(kept: Sequence[str]) -> bool:
        asked.append(kept)
        return set(names) <= set(kept)

    return holds, asked


def test_nothing_is_kept_where_the_limits_hold() -> None:
    holds, asked = needs()
    assert fewest(LAYERS, holds).kept == ()
    assert asked == [()]


@pytest.mark.parametrize("place", [0, 1, 7, 63, 99])
def test_one_layer_is_found_wherever_it_is_ranked(place: int) -> None:
    holds, asked = needs(LAYERS[place])
    found = fewest(LAYERS, holds)
    assert found.kept == (LAYERS[place],)
    assert found.trials == len(asked) <= 24


def test_several_layers_are_found_without_those_between() -> None:
    holds, _ = needs("layer_2", "layer_9")
    assert fewest(LAYERS, holds, max_trials=40).kept == ("layer_2", "layer_9")


def test_where_most_layers_are_needed_there_is_no_list() -> None:
    holds, asked = needs(*LAYERS[:150])
    assert fewest(LAYERS, holds).kept is None
    assert len(asked) == 2


def test_no_question_is_asked_twice_and_there_are_few() -> None:
    holds, asked = needs(*LAYERS[0:100:3])
    found = fewest(LAYERS, holds, max_trials=15)
    assert len(asked) == len({tuple(each) for each in asked}) <= 15
    assert found.kept is not None
    assert set(LAYERS[0:100:3]) <= set(found.kept)


@given(st.sets(st.integers(0, 39)), st.integers(3, 30))
def test_what_is_found_was_tried_and_holds(needed: set[int], trials: int) -> None:
    names = [LAYERS[number] for number in needed]
    holds, asked = needs(*names)
    found = fewest(LAYERS[:40], holds, max_trials=trials, most=1.0)
    assert found.kept is not None
    assert set(names) <= set(found.kept)
    assert tuple(found.kept) in {tuple(each) for each in asked}
    assert len(asked) <= max(trials, 2)
