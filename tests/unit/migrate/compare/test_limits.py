"""The limits of a comparison: what the settings say, or what the precision can give."""

from collections.abc import Sequence

import numpy as np
import pytest
from npuserve.migrate.chain.gates import failed
from npuserve.migrate.chain.settings import CompareSettings, CompileSettings, ServeSettings, Settings, SourceSettings
from npuserve.migrate.compare.limits import least_cosine, limits_of, served_mode
from npuserve.migrate.compare.whole import agreements
from npuserve.migrate.errors import MigrationError
from support.models import Array

LOGITS = [{"logits": np.array([[3.0, -4.0]], np.float32)}, {"logits": np.array([[0.0, 12.0]], np.float32)}]
DEFAULTS = CompareSettings()
RMS = 6.5  # of 3, 4, 0 and 12


def limits(
    mode: str, settings: CompareSettings = DEFAULTS, expected: Sequence[dict[str, Array]] = LOGITS
) -> tuple[float, float, float]:
    (found,) = limits_of(settings, mode, expected).values()
    return found.min_cosine, found.max_abs, found.mean_abs


@pytest.mark.parametrize("mode", ["must_keep_origin_dtype", "origin"])
def test_float32_has_limits_of_its_own_whatever_the_logits(mode: str) -> None:
    assert limits(mode) == (0.999, 1e-3, 1e-4)


@pytest.mark.parametrize(
    ("mode", "largest", "mean"),
    [
        ("force_fp16", 2**-8, 2**-9),
        ("allow_mix_precision", 2**-8, 2**-9),
        ("mixed_bfloat16", 2**-5, 2**-6),
    ],
)
def test_a_lower_precision_may_be_off_by_a_share_of_the_logits(mode: str, largest: float, mean: float) -> None:
    cosine, max_abs, mean_abs = limits(mode)
    assert cosine == 0.999
    assert max_abs == pytest.approx(12 * largest)
    assert mean_abs == pytest.approx(RMS * mean)


def test_logits_of_twice_the_size_may_be_off_twice_as_far() -> None:
    doubled = [{"logits": 2 * each["logits"]} for each in LOGITS]
    assert limits("force_fp16", expected=doubled)[1:] == pytest.approx([2 * each for each in limits("force_fp16")[1:]])


def test_nothing_is_asked_of_small_outputs_that_float32_need_not_reach() -> None:
    small = [{"logits": np.full((1, 4), 1e-3, np.float32)}]
    assert limits("force_fp16", expected=small) == (0.999, 1e-3, 1e-4)


def test_int8_is_measured_by_its_coarse_steps() -> None:
    assert limits("int8")[:2] == (0.98, 6.0)


def test_int8s_cosine_is_of_all_samples_together_as_logits_near_zero_have_no_direction() -> None:
    right = [{"logits": np.array([[8.0, -4.0]], np.float32)}, {"logits": np.array([[0.01, -0.02]], np.float32)}]
    mine = [{"logits": np.array([[8.1, -4.1]], np.float32)}, {"logits": np.array([[-0.02, 0.01]], np.float32)}]
    (found,) = agreements(mine, right)
    assert found.cosine == pytest.approx(-0.8)
    assert not failed(found.checks(limits_of(DEFAULTS, "int8", right)))
    assert failed(found.checks(limits_of(DEFAULTS, "force_fp16", right)))
    given = found.checks(limits_of(CompareSettings(min_cosine=0.98), "int8", right))
    assert [each.name for each in given if not each.passed] == ["cosine of logits"]
    assert least_cosine(DEFAULTS, "int8") == -1


def test_what_the_settings_give_holds_in_every_precision() -> None:
    given = CompareSettings(min_cosine=0.5, max_abs_error=0.25, mean_abs_error=0.125)
    for mode in ("must_keep_origin_dtype", "force_fp16", "int8"):
        assert limits(mode, given) == (0.5, 0.25, 0.125)
    assert limits("force_fp16", CompareSettings(max_abs_error=1e-3))[1:] == pytest.approx((1e-3, RMS * 2**-9))


def test_the_limits_say_where_they_come_from() -> None:
    assert [each.why for each in limits_of(CompareSettings(), "origin", LOGITS).values()] == ["float32"]
    (half,) = limits_of(CompareSettings(min_cosine=0.9), "force_fp16", LOGITS).values()
    assert (
        half.why
        == "float16: 0.0039 of the largest value (12), 0.002 of their root mean square (6.5); settings: min_cosine"
    )
    (given,) = limits_of(
        CompareSettings(min_cosine=0.9, max_abs_error=1, mean_abs_error=1), "force_fp16", LOGITS
    ).values()
    assert given.why == "settings: min_cosine, max_abs_error, mean_abs_error"


def test_outputs_that_are_no_floats_have_none_and_broken_values_do_not_count() -> None:
    sample = {"ids": np.array([[7]]), "logits": np.array([[np.nan, np.inf, 2.0]], np.float32)}
    found = limits_of(CompareSettings(), "force_fp16", [sample])
    assert list(found) == ["logits"]
    assert found["logits"].max_abs == pytest.approx(2 * 2**-8)
    broken = limits_of(CompareSettings(), "force_fp16", [{"logits": np.array([np.nan], np.float32)}])
    assert broken["logits"].max_abs == 1e-3


def test_the_fallback_is_measured_as_float32() -> None:
    source = SourceSettings(name="m", module="a:b")
    half = CompileSettings(precision="int8")
    assert served_mode(Settings(source=source, compile=half)) == "int8"
    assert least_cosine(CompareSettings(), "force_fp16") == 0.999
    fallback = Settings(source=source, compile=half, serve=ServeSettings(backend="onnxruntime"))
    assert least_cosine(CompareSettings(), served_mode(fallback)) == 0.999


def test_a_limit_out_of_range_is_refused() -> None:
    for wrong in ({"min_cosine": 1.5}, {"max_abs_error": -1.0}, {"mean_abs_error": -1.0}):
        with pytest.raises(MigrationError, match=f"compare.{next(iter(wrong))}"):
            CompareSettings(**wrong)  # type: ignore[arg-type]  # as above
