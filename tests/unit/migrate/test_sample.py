import pytest
from npuserve.migrate.errors import PlanError
from npuserve.migrate.sample import LengthSample, counted, read_lengths


def test_lengths_are_counted() -> None:
    assert counted([5, 3, 5]) == LengthSample((3, 5), (1, 2), 13)


def test_integers_and_json_lines_may_be_mixed_and_blank_lines_do_not_count() -> None:
    assert read_lengths([" 7 \n", "\n", '{"text": "x", "length": 9}\n', "7"], "f") == counted([7, 9, 7])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("-3", "the length -3 is not positive"),
        ("0", "the length 0 is not positive"),
        ("513", "the length 513 is above --max-length 512"),
        ("3.5", "expected an integer or a JSON object with the field 'length', got '3.5'"),
        ("1_000", "expected an integer or a JSON object with the field 'length', got '1_000'"),
        ("٣", "expected an integer or a JSON object with the field 'length', got '٣'"),
        ("many", "expected an integer or a JSON object with the field 'length', got 'many'"),
        ("9" * 5000, f"the length {'9' * 40}... is no length of a row"),
        ('{"len": 3}', "the field 'length' must be an integer, found none"),
        ('{"length": "3"}', "the field 'length' must be an integer, found \"3\""),
        ('{"length": 3.0}', "the field 'length' must be an integer, found 3.0"),
        ('{"length": true}', "the field 'length' must be an integer, found true"),
        ('{"length": 0}', "the length 0 is not positive"),
        ('{"length": 900}', "the length 900 is above --max-length 512"),
        (f'{{"length": {"9" * 5000}}}', f"the length {'9' * 40}... is no length of a row"),
        ("{length: 3}", "expected an integer or a JSON object with the field 'length': "),
    ],
)
def test_a_bad_line_is_named(line: str, reason: str) -> None:
    with pytest.raises(PlanError) as caught:
        read_lengths(["12", "", line], "sizes.txt", longest=512)
    assert str(caught.value).startswith(f"sizes.txt, line 3: {reason}")


@pytest.mark.parametrize("lines", [[], ["", "  \n"]])
def test_an_empty_sample_is_refused(lines: list[str]) -> None:
    with pytest.raises(PlanError, match="the sample is empty: at least one length is needed"):
        read_lengths(lines, "f")


@pytest.mark.parametrize(("share", "length"), [(0.0, 1), (0.5, 2), (0.75, 2), (0.76, 9), (1.0, 9)])
def test_a_quantile_is_a_length_of_the_sample(share: float, length: int) -> None:
    assert counted([1, 2, 2, 9]).quantile(share) == length
