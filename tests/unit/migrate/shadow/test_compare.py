"""Whether two answers agree: floats nearly, the rest exactly, and every other difference by its own reason."""

import math

import numpy as np
import pytest
from npuserve.migrate.shadow.answers import Tensor
from npuserve.migrate.shadow.compare import Difference, compare_outputs, compare_statuses
from npuserve.migrate.shadow.options import Limits

PLAIN = Limits()


def floats(*rows: list[float]) -> Tensor:
    return Tensor("FP32", np.array(rows, np.float64))


def texts(*elements: bytes) -> Tensor:
    array = np.empty(len(elements), object)
    array[:] = elements
    return Tensor("BYTES", array)


def compared(live: Tensor, reference: Tensor, *, limits: Limits = PLAIN, classes: tuple[str, ...] = ()) -> Difference:
    return compare_outputs({"y": live}, {"y": reference}, limits, classes)


def test_equal_floats_agree_with_a_cosine_of_exactly_one() -> None:
    found = compared(floats([0.1, 0.7, 0.3]), floats([0.1, 0.7, 0.3]))
    assert (found.reason, found.cosine, found.max_abs) == ("", 1.0, 0.0)
    assert (found.outputs[0].choices, found.outputs[0].same_choices) == (1, 1)


def test_floats_within_the_bounds_agree_and_say_how_near() -> None:
    found = compared(floats([1.0, 2.0, 3.0]), floats([1.0, 2.0, 3.01]))
    assert found.reason == ""
    assert found.cosine == pytest.approx(0.9999989, abs=1e-6)
    assert found.max_abs == pytest.approx(0.01)


def test_one_wrong_row_is_not_hidden_by_right_ones() -> None:
    right = [[5.0, 1.0]] * 31
    found = compared(floats(*right, [1.0, 5.0]), floats(*right, [5.0, 1.0]))
    assert found.reason == "cosine"
    assert found.cosine == pytest.approx(10 / 26)
    assert (found.outputs[0].choices, found.outputs[0].same_choices) == (32, 31)


def test_a_scaled_answer_has_the_right_cosine_and_disagrees_all_the_same() -> None:
    found = compared(floats([2.0, 4.0]), floats([1.0, 2.0]))
    assert found.reason == "error"
    assert found.cosine == pytest.approx(1.0)


def test_a_single_number_is_judged_by_its_error() -> None:
    assert compared(floats([1.001]), floats([1.0])).reason == ""
    assert compared(floats([1.2]), floats([1.0])).reason == "error"


def test_another_largest_element_disagrees_unless_the_reference_hardly_prefers_its_own() -> None:
    wide = Limits(min_cosine=0.9, max_error=1.0)
    assert compared(floats([1.0, 1.02]), floats([1.02, 1.0]), limits=wide).reason == "argmax"
    tie = compared(floats([1.0, 1.0001]), floats([1.0001, 1.0]))
    assert (tie.reason, tie.outputs[0].same_choices) == ("", 1)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_on_one_side_alone_disagrees(value: float) -> None:
    assert compared(floats([value, 1.0]), floats([1.0, 1.0])).reason == "nonfinite"
    assert compared(floats([1.0, 1.0]), floats([value, 1.0])).reason == "nonfinite"
    assert compared(floats([value, 1.0]), floats([value, 1.0])).reason == ""


def test_a_zero_answer_to_a_reference_that_is_not_has_no_cosine_to_speak_of() -> None:
    assert compared(floats([0.0, 0.0]), floats([1.0, 0.0])).cosine == 0.0
    assert compared(floats([0.0, 0.0]), floats([0.0, 0.0])).cosine == 1.0


def test_empty_and_scalar_tensors_can_be_compared() -> None:
    empty = Tensor("FP32", np.empty((0, 3)))
    assert compared(empty, empty).reason == ""
    assert compared(Tensor("FP32", np.array(2.0)), Tensor("FP32", np.array(2.0))).cosine == 1.0


def test_integers_and_texts_are_equal_or_not() -> None:
    ours, theirs = Tensor("INT64", np.array([1, 2, 3])), Tensor("INT64", np.array([1, 2, 4]))
    assert compared(ours, ours).reason == ""
    found = compared(ours, theirs)
    assert found.reason == "values"
    assert "1 of 3 elements differ, the first is [2]: live 3, reference 4" in found.detail
    assert compared(texts(b"a", b"b"), texts(b"a", b"b")).reason == ""
    assert compared(texts(b"a", b"b"), texts(b"a", b"c")).detail.endswith("live 'b', reference 'c'")


def test_classes_agree_by_index_and_label_and_nearly_by_score() -> None:
    ours, theirs = texts(b"0.987100:1:POSITIVE"), texts(b"0.987099:1:POSITIVE")
    assert compared(ours, theirs, classes=("y",)).reason == ""
    assert compared(ours, theirs).reason == "values"
    assert compared(ours, texts(b"0.987100:0:NEGATIVE"), classes=("y",)).reason == "values"
    assert compared(ours, texts(b"0.5:1:POSITIVE"), classes=("y",)).reason == "values"
    assert compared(ours, texts(b"much:1:POSITIVE"), classes=("y",)).reason == "values"


def test_other_shapes_data_types_and_outputs_have_reasons_of_their_own() -> None:
    row = floats([1.0, 2.0])
    assert compared(row, floats([1.0, 2.0, 3.0])).reason == "shape"
    half = Tensor("FP16", row.values)
    assert compared(row, half).detail == "'y': live FP32, reference FP16"
    missing = compare_outputs({"y": row}, {"y": row, "z": row}, Limits())
    assert (missing.reason, missing.detail) == ("missing", "'z': the live answer does not have it")
    more = compare_outputs({"y": row, "z": row}, {"y": row}, Limits())
    assert more.detail == "'z': the reference does not have it"


def test_the_order_of_outputs_does_not_matter() -> None:
    first, second = floats([1.0, 2.0]), floats([3.0, 4.0])
    assert compare_outputs({"a": first, "b": second}, {"b": second, "a": first}, Limits()).reason == ""


def test_refusals_agree_by_their_code() -> None:
    assert compare_statuses(("INVALID_ARGUMENT", "no"), ("INVALID_ARGUMENT", "never")).reason == ""
    found = compare_statuses(("OK", ""), ("NOT_FOUND", "unknown model"))
    assert (found.reason, found.detail) == ("status", "live OK, reference NOT_FOUND: unknown model")
