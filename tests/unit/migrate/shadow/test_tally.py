"""What is counted, and the limits of the whole."""

import json

import pytest
from npuserve.migrate.shadow.compare import Difference, OutputDifference
from npuserve.migrate.shadow.families import shadow_families
from npuserve.migrate.shadow.options import Limits
from npuserve.migrate.shadow.tally import Tally
from npuserve.observability.exposition import render
from support.prometheus import Metric, parse_metrics


def found(cosine: float | None, reason: str = "", choices: int = 0, same: int = 0) -> Difference:
    output = OutputDifference(name="y", reason=reason, cosine=cosine, max_abs=0.25, choices=choices, same_choices=same)
    return Difference(reason, "", (output,))


def tally_of(*differences: Difference) -> Tally:
    tally = Tally()
    for each in differences:
        tally.sent("m")
        tally.compared("m", each, 2_000_000, 30_000_000)
    return tally


def metrics(tally: Tally) -> dict[str, Metric]:
    snapshot = {**json.loads(json.dumps(tally.as_json())), "up": True}
    return parse_metrics(render(shadow_families(snapshot, {}, running=True)).decode())


def test_an_empty_tally_has_no_model_and_breaks_no_limit_that_is_not_set() -> None:
    assert Tally().as_json() == {"unread": 0, "models": {}}
    assert Tally().failures(Limits()) == []


def test_outputs_keep_their_least_and_their_mean_cosine() -> None:
    told = tally_of(found(1.0, choices=2, same=2), found(0.5, "cosine", choices=2, same=1)).as_json()["models"]["m"]
    assert (told["mirrored"], told["compared"], told["disagreed"]) == (2, 2, {"cosine": 1})
    output = told["outputs"]["y"]
    assert (output["cosine_min"], output["cosine_mean"]) == (0.5, 0.75)
    assert (output["argmax_rows"], output["argmax_agreed_rows"]) == (4, 3)
    assert told["live"]["p99_ms"] == pytest.approx(2.0, rel=0.01)
    assert told["reference"]["p99_ms"] == pytest.approx(30.0, rel=0.01)


@pytest.mark.parametrize(
    ("limits", "sentences"),
    [
        (Limits(fail_below_cosine=0.4), []),
        (Limits(fail_below_cosine=0.6), ["the least cosine is 0.500000, below 0.6"]),
        (Limits(fail_above_disagreed=0.5), []),
        (Limits(fail_above_disagreed=0.49), ["1 of 2 answers disagree, more than 49.00%"]),
    ],
)
def test_the_limits_of_the_whole_say_what_is_beyond_them(limits: Limits, sentences: list[str]) -> None:
    assert tally_of(found(1.0), found(0.5, "cosine")).failures(limits) == sentences


def test_the_metrics_tell_the_same() -> None:
    tally = tally_of(found(1.0, choices=1, same=1), found(0.95), found(None, "values"))
    tally.failed("m", "internal")
    told = metrics(tally)
    assert told["npu_shadow_up"].value("npu_shadow_up") == 1
    assert told["npu_shadow_compared_total"].value("npu_shadow_compared_total", model="m") == 3
    assert told["npu_shadow_disagreed_total"].value("npu_shadow_disagreed_total", model="m", reason="values") == 1
    assert told["npu_shadow_failed_total"].value("npu_shadow_failed_total", model="m", reason="internal") == 1
    cosine = told["npu_shadow_cosine"]
    assert cosine.kind == "histogram"
    assert cosine.value("npu_shadow_cosine_bucket", model="m", le="0.9") == 0
    assert cosine.value("npu_shadow_cosine_bucket", model="m", le="0.99") == 1
    assert cosine.value("npu_shadow_cosine_count", model="m") == 2
    assert told["npu_shadow_cosine_min"].value("npu_shadow_cosine_min", model="m") == 0.95
    latency = told["npu_shadow_reference_latency_ms"]
    assert latency.value("npu_shadow_reference_latency_ms_bucket", model="m", le="20") == 0
    assert latency.value("npu_shadow_reference_latency_ms_bucket", model="m", le="50") == 3
