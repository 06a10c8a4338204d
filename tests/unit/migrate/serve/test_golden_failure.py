import pytest
from npuserve.migrate.serve.golden_failure import golden_failure

LOG = (
    "E1123 building:64] failed to load 'm' version 1: model 'm' does not agree with '/r/m/1/golden.npz': {}\nE1123 more"
)


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        (
            "output 'logits' of sample 3 has cosine 0.991000, golden_min_cosine is 0.999",
            "cosine of logits, golden sample 3 is 0.991, must be at least 0.999",
        ),
        (
            "output 'y/z' of sample 0 has cosine nan, golden_min_cosine is 0.999",
            "cosine of y/z, golden sample 0 is nan, must be at least 0.999",
        ),
        (
            "output 'logits' of sample 12 is off by 0.25, golden_max_abs_error is 1e-05",
            "max abs error of logits, golden sample 12 is 0.25, must be at most 1e-05",
        ),
    ],
)
def test_output_sample_value_and_limit_are_told(fault: str, check: str) -> None:
    found = golden_failure(LOG.format(fault))
    assert found is not None
    assert str(found.check) == check
    assert check in str(found)
    assert not found.check.passed


def test_another_reason_is_none_of_golden_answers() -> None:
    assert golden_failure("E1123 failed to load 'm' version 1: there is no model.om") is None
