"""The texts are those that Triton 2.51 was seen to answer."""

import math

import numpy as np
import pytest
from hypothesis import given as examples
from hypothesis import strategies as st
from npuserve.core.dtype import Dtype
from npuserve.core.elements import split_elements
from npuserve.core.errors import ServeError
from npuserve.core.status import StatusCode
from npuserve.core.tensor import Tensor
from npuserve.service.classification import greatest_classes

LABELS = ("zero", "one", "", "three ", " four")


def tensor(dtype: Dtype, shape: tuple[int, ...], *values: float) -> Tensor:
    return Tensor("y", dtype, shape, np.array(values, dtype.numpy).tobytes())


def classes(given: Tensor, count: int, *, has_batch: bool = True) -> list[str]:
    return [element.decode() for element in split_elements(shaped(given, count, has_batch=has_batch).data)]


def shaped(given: Tensor, count: int, *, has_batch: bool = True) -> Tensor:
    return greatest_classes(given, count, LABELS, has_batch=has_batch)


def test_the_greatest_come_first_with_their_labels() -> None:
    given = tensor(Dtype.FP32, (1, 6), 0, 1, 2, 3, 4, 5)
    assert classes(given, 9) == [
        "5.000000:5",
        "4.000000:4: four",
        "3.000000:3:three ",
        "2.000000:2",
        "1.000000:1:one",
        "0.000000:0:zero",
    ]


def test_of_equal_values_the_first_comes_first() -> None:
    assert classes(tensor(Dtype.FP32, (1, 4), 1, 3, 2, 3), 3) == ["3.000000:1:one", "3.000000:3:three ", "2.000000:2"]
    assert [text.split(":")[1] for text in classes(tensor(Dtype.INT8, (1, 40), *[7] * 40), 40)] == list(
        map(str, range(40))
    )


def test_each_row_has_its_own() -> None:
    given = tensor(Dtype.FP32, (2, 3), 1, 3, 2, -1, -5, 0)
    assert classes(given, 2) == ["3.000000:1:one", "2.000000:2", "0.000000:2", "-1.000000:0:zero"]
    assert (shaped(given, 2).shape, shaped(given, 2).dtype) == ((2, 2), Dtype.BYTES)


def test_a_row_is_counted_through_all_its_dimensions() -> None:
    given = tensor(Dtype.FP32, (2, 2, 3), *range(12))
    assert classes(given, 1) == ["5.000000:5", "11.000000:5"]
    assert classes(given, 1, has_batch=False) == ["11.000000:11"]


@pytest.mark.parametrize(("count", "shape"), [(2, (2,)), (9, (6,))])
def test_without_a_batch_there_is_one_dimension(count: int, shape: tuple[int, ...]) -> None:
    assert shaped(tensor(Dtype.FP32, (2, 3), *range(6)), count, has_batch=False).shape == shape


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (0, 0)])
def test_nothing_has_no_classes(shape: tuple[int, ...]) -> None:
    result = shaped(tensor(Dtype.FP32, shape), 2)
    assert (result.shape[0], result.data) == (shape[0], b"")


def test_values_are_printed_as_c_prints_them() -> None:
    given = tensor(Dtype.FP32, (1, 4), 1e20, 1e-7, 0.1, 123456.789)
    assert classes(given, 4) == [
        "100000002004087734272.000000:0:zero",
        "123456.789062:3:three ",
        "0.100000:2",
        "0.000000:1:one",
    ]
    special = tensor(Dtype.FP32, (1, 4), np.nan, 1, np.inf, -np.inf)
    assert classes(special, 4) == ["nan:0:zero", "inf:2", "1.000000:1:one", "-inf:3:three "]


@pytest.mark.parametrize(
    "dtype",
    [
        *(Dtype.INT8, Dtype.INT16, Dtype.INT32, Dtype.INT64),
        *(Dtype.UINT8, Dtype.UINT16, Dtype.UINT32, Dtype.UINT64),
    ],
)
def test_integers_are_printed_whole_to_their_limits(dtype: Dtype) -> None:
    limits = np.iinfo(np.dtype(dtype.numpy).name)
    given = tensor(dtype, (1, 4), 1, limits.min, limits.max, 2)
    assert classes(given, 4) == [f"{limits.max}:2", "2:3:three ", "1:0:zero", f"{limits.min}:1:one"]


def test_doubles_are_classified() -> None:
    assert classes(tensor(Dtype.FP64, (1, 2), 0.25, 1e300), 2)[1] == "0.250000:0:zero"


@pytest.mark.parametrize("dtype", [Dtype.BOOL, Dtype.FP16, Dtype.BF16, Dtype.BYTES])
def test_what_has_no_order_is_refused(dtype: Dtype) -> None:
    with pytest.raises(ServeError) as caught:
        shaped(Tensor("y", dtype, (1, 1), b"\0\0\0\0"), 1)
    assert caught.value.status is StatusCode.INVALID_ARGUMENT
    assert caught.value.message == f"class result not available for output due to unsupported type '{dtype.value}'"


@examples(
    st.lists(st.sampled_from([-1.0, 0.0, 1.0, 2.0, math.inf, -math.inf, math.nan]), min_size=1, max_size=200),
    st.integers(1, 20),
)
def test_a_few_of_many_are_those_that_sorting_all_gives(values: list[float], count: int) -> None:
    row = Tensor("y", Dtype.FP64, (len(values),), np.array(values).tobytes())
    every = list(split_elements(greatest_classes(row, len(values), (), has_batch=False).data))
    few = list(split_elements(greatest_classes(row, count, (), has_batch=False).data))
    assert few == every[:count]
