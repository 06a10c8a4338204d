import pytest
from npuserve.repository.dependencies import all_steps, dependents_of, find_circle

STEPS = {"top": {"left", "right"}, "left": {"base"}, "right": {"base"}, "base": set[str](), "apart": {"gone"}}


def test_who_needs_a_model_is_found_through_others() -> None:
    assert dependents_of({"base"}, STEPS) == {"left", "right", "top"}
    assert dependents_of({"left", "top"}, STEPS) == set()
    assert dependents_of({"gone"}, STEPS) == {"apart"}


def test_what_a_model_needs_is_found_through_others() -> None:
    assert all_steps("top", STEPS) == {"left", "right", "base"}
    assert all_steps("base", STEPS) == all_steps("unknown", STEPS) == set()


@pytest.mark.parametrize(
    ("name", "steps", "expected"),
    [
        ("top", STEPS, ()),
        ("a", {"a": {"a"}}, ("a", "a")),
        ("a", {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}}, ("a", "b", "c", "a")),
        ("d", {"a": {"b"}, "b": {"a"}, "d": {"a"}}, ()),
    ],
)
def test_a_circle_is_a_way_back_to_the_model_itself(
    name: str, steps: dict[str, set[str]], expected: tuple[str, ...]
) -> None:
    assert find_circle(name, steps) == expected
