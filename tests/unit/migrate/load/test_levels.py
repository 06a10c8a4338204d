"""How lists of loads are written."""

import pytest
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.load.levels import read_levels


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("8", [8]),
        ("1, 4,2", [1, 4, 2]),
        ("1:7:2", [1, 3, 5, 7]),
        ("1:6:2", [1, 3, 5]),
        ("3:5", [3, 4, 5]),
        ("1:64:x4", [1, 4, 16, 64]),
        ("2:2", [2]),
        ("0.5:1.5:0.5,10", [0.5, 1.0, 1.5, 10]),
    ],
)
def test_lists_and_ranges_are_read_in_their_order(text: str, levels: list[float]) -> None:
    assert read_levels(text) == levels


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "x", "1,", "4:1", "1:2:3:4", "1:8:0", "1:8:x1", "1:8:x", "nan", "inf", "1:1e8"]
)
def test_what_is_no_list_of_positive_numbers_is_refused(text: str) -> None:
    with pytest.raises(MigrationError, match=r"expected a number, FROM:TO\[:STEP\] or FROM:TO:xFACTOR|at most"):
        read_levels(text)
