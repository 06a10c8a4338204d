"""The search for the fewest layers that must stay in float."""

from collections.abc import Set

from npuserve.migrate.quantize.layers import Layer
from npuserve.migrate.quantize.questions import Grade
from npuserve.migrate.quantize.sensitive import Candidate, Search, search

LAYERS = [Layer(f"layer_{number}", "MatMul") for number in range(20)]


def found(hurt: Set[str], *, bisect: bool = True, max_trials: int = 30) -> Search:
    """Searches where the layers of these names cost a point each, and half a point may be lost."""

    def attempt(kept: tuple[str, ...]) -> Candidate:
        drop = float(len(hurt - set(kept)))
        grade = Grade(accuracy=1 - drop / 100, f1=None, agreement=1, cosine=1)
        return Candidate(kept=kept, grade=grade, drop=drop, at_worst=drop, holds=drop <= 0.5, p50_ms=None)

    return search(
        LAYERS,
        attempt,
        lambda layer: 1.0 if layer.name in hurt else 0.1,
        bisect=bisect,
        max_trials=max_trials,
        tell=lambda _: None,
    )


def kept(result: Search) -> set[str] | None:
    return None if result.chosen is None else set(result.chosen.kept)


def test_nothing_is_kept_if_nothing_hurts() -> None:
    result = found(set())
    assert kept(result) == set()
    assert len(result.candidates) == 1
    assert result.ranking == []


def test_the_layers_that_hurt_are_kept_and_no_others() -> None:
    hurt = {"layer_3", "layer_11"}
    result = found(hurt)
    assert kept(result) == hurt
    assert {layer.name for layer, _ in result.ranking[:2]} == hurt
    assert len({frozenset(each.kept) for each in result.candidates}) == len(result.candidates)


def test_one_layer_is_always_quantized() -> None:
    assert kept(found({layer.name for layer in LAYERS})) is None
    assert kept(found({layer.name for layer in LAYERS[1:]})) == {layer.name for layer in LAYERS[1:]}


def test_trials_are_limited_and_what_is_chosen_was_tried() -> None:
    result = found({"layer_2", "layer_7", "layer_9"}, max_trials=4)
    assert result.chosen is not None
    assert result.chosen.holds
    assert len(result.candidates) <= 5


def test_the_search_can_be_left_out() -> None:
    result = found({"layer_1"}, bisect=False)
    assert result.chosen is None
    assert len(result.candidates) == 1
