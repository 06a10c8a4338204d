from npuserve.cli.tables import table


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert table(("Model", "Version", "Status"), [("m", "1", "READY"), ("longer", "10", "UNAVAILABLE: x")]) == (
        "+--------+---------+----------------+\n"
        "| Model  | Version | Status         |\n"
        "+--------+---------+----------------+\n"
        "| m      | 1       | READY          |\n"
        "| longer | 10      | UNAVAILABLE: x |\n"
        "+--------+---------+----------------+"
    )


def test_a_cell_may_have_several_lines() -> None:
    assert table(("a", "b"), [("x\ny", "1")]).split("\n")[3:5] == ["| x | 1 |", "| y |   |"]


def test_a_table_without_rows_is_its_head() -> None:
    assert table(("Model",), []) == "+-------+\n| Model |\n+-------+"
