"""What the parameter `gears` says, and what is there without it."""

from itertools import pairwise

import pytest
from npuserve.config.onnx_gears import OnnxGears, default_lengths, default_rows, onnx_gears
from npuserve.core.errors import ServeError
from npuserve.core.status import StatusCode
from support.ensembles import parse


def gears(text: str, max_batch_size: int = 0) -> OnnxGears | None:
    head = f'name: "m" backend: "onnxruntime" max_batch_size: {max_batch_size} '
    return onnx_gears(parse(head + f'parameters {{ key: "gears" value {{ string_value: "{text}" }} }}'))


@pytest.mark.parametrize(
    ("text", "rows", "lengths"),
    [
        ("1,2,4,8 x 16,32,64", (1, 2, 4, 8), (16, 32, 64)),
        ("1-4 x 16,32", (1, 2, 3, 4), (16, 32)),
        ("4,1-2,2x16-18, 8", (1, 2, 4), (8, 16, 17, 18)),
        ("7", (7,), ()),
        (" 3 - 3 ", (3,), ()),
    ],
)
def test_rows_and_lengths_are_lists_of_numbers_and_ranges(
    text: str, rows: tuple[int, ...], lengths: tuple[int, ...]
) -> None:
    assert gears(text) == OnnxGears(rows, lengths)


def test_without_the_parameter_there_is_none() -> None:
    assert onnx_gears(parse('name: "m"')) is None


@pytest.mark.parametrize(
    ("text", "max_batch_size", "reason"),
    [
        ("", 0, "must list rows of 1 or more, as '1,2,4,8 x 16,32,64' or '1-32 x 16,32,64'; got ''"),
        ("0", 0, "must list rows of 1 or more, as '1,2,4,8 x 16,32,64' or '1-32 x 16,32,64'; got '0'"),
        ("1 x 16,0", 0, "must list lengths of 1 or more, as '1,2,4,8 x 16,32,64' or '1-32 x 16,32,64'; got '0'"),
        ("1 x -16", 0, "must list lengths of 1 or more, as '1,2,4,8 x 16,32,64' or '1-32 x 16,32,64'; got '-16'"),
        ("1 x", 0, "must list lengths of 1 or more, as '1,2,4,8 x 16,32,64' or '1-32 x 16,32,64'; got ''"),
        ("1 x 8 x 8", 0, "must list lengths of 1 or more, as '1,2,4,8 x 16,32,64' or '1-32 x 16,32,64'; got '8 x 8'"),
        ("two", 0, "must list rows of 1 or more, as '1,2,4,8 x 16,32,64' or '1-32 x 16,32,64'; got 'two'"),
        ("\N{ARABIC-INDIC DIGIT TWO}", 0, "must list rows of 1 or more, as '1,2,4,8 x 16,32,64' or '1-32 x 16,32,64'; "
         "got '\N{ARABIC-INDIC DIGIT TWO}'"),
        ("9-1", 0, "has the rows '9-1', whose end is before its start"),
        ("1-999999999", 0, "has more than 8192 rows"),
        ("1-5000,6000-9999", 0, "has more than 8192 rows"),
        ("1-100 x 1-100", 0, "of 100 x 100 pairs has more than the 8192 that may be"),
        ("1,2,4 x 16", 8, "has at most 4 rows, but max_batch_size is 8: add 8 rows, or lower max_batch_size"),
    ],
)  # fmt: skip
def test_what_is_no_set_of_gears_is_refused(text: str, max_batch_size: int, reason: str) -> None:
    with pytest.raises(ServeError) as caught:
        gears(text, max_batch_size)
    assert caught.value.status is StatusCode.INVALID_ARGUMENT
    assert caught.value.message == f"model 'm': parameter 'gears' {reason}"


def test_more_rows_than_requests_bring_are_no_contradiction() -> None:
    assert gears("16 x 8", 4) == OnnxGears((16,), (8,))


def test_default_lengths_are_dense_where_texts_are_short() -> None:
    lengths = default_lengths()
    assert (lengths[:3], lengths[15:18], lengths[-1]) == ((8, 16, 24), (128, 160, 192), 512)


@pytest.mark.parametrize("max_batch_size", [1, 2, 32, 33, 40, 41, 64, 100])
def test_default_rows_end_with_the_largest_batch(max_batch_size: int) -> None:
    assert default_rows(max_batch_size, has_lengths=False) == tuple(range(1, max_batch_size + 1))
    thinned = default_rows(max_batch_size, has_lengths=True)
    assert thinned[:32] == tuple(range(1, min(32, max_batch_size) + 1))
    assert thinned[-1] == max_batch_size
    assert all(after - before <= 8 for before, after in pairwise(thinned))
