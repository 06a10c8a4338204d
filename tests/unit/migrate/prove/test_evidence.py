import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from npuserve._load import BUCKETS, bucket_of
from npuserve.migrate.chain.gates import failed
from npuserve.migrate.chain.settings import ProveSettings
from npuserve.migrate.load import Histogram
from npuserve.migrate.prove.accuracy import Score
from npuserve.migrate.prove.contest import Round, Standing
from npuserve.migrate.prove.entities import EntityScore
from npuserve.migrate.prove.evidence import Evidence, advice, speed_checks
from npuserve.migrate.serve.agreement import Agreement

LIMITS = ProveSettings()


def standing(server: str, requests: int, milliseconds: int, errors: int = 0, seconds: float = 1.0) -> Standing:
    counts = np.zeros(BUCKETS, np.uint64)
    value = milliseconds * 1_000_000
    counts[bucket_of(value)] = requests
    rounds = (Round(requests / seconds, float(milliseconds) if requests else math.nan),) * 3
    latency = Histogram(counts, value, value, value * requests)
    return Standing(server=server, concurrency=8, latency=latency, seconds=seconds, rounds=rounds, errors=errors)


def evidence(**changes: Any) -> Evidence:
    given: dict[str, Any] = {
        "agreement": Agreement(same=995, positions=1000),
        "scores": {"npuserve": Score(900, 1000), "baseline": Score(905, 1000)},
        "standings": [standing("npuserve", 80, 12), standing("baseline", 100, 10)],
        "memory_mb": {},
        **changes,
    }
    return Evidence(**given)


def tagger(right: int) -> Score:
    return Score(900, 1000, EntityScore(right=right, found=200, wanted=200))


def names(found: Evidence) -> list[str]:
    return [check.name for check in failed(found.checks(LIMITS))]


def test_at_the_limits_it_passes() -> None:
    assert names(evidence()) == []


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"scores": {"npuserve": Score(899, 1000), "baseline": Score(905, 1000)}}, "accuracy drop"),
        ({"scores": {"npuserve": tagger(99), "baseline": tagger(101)}}, "drop of the entities' F1"),
        ({"standings": [standing("npuserve", 79, 10), standing("baseline", 100, 10)]}, "QPS at 8 at once"),
        ({"standings": [standing("npuserve", 100, 13), standing("baseline", 100, 10)]}, "P99 at 8 at once"),
        ({"standings": [standing("npuserve", 100, 9, 1), standing("baseline", 100, 10)]}, "requests that failed"),
        ({"scores": {}, "agreement": Agreement(same=994, positions=1000)}, "answers with the same class"),
    ],
)
def test_each_limit_is_a_check_of_its_own(changes: dict[str, Any], name: str) -> None:
    (found,) = names(evidence(**changes))
    assert found.startswith(name)
    assert advice(failed(evidence(**changes).checks(LIMITS)))


def test_a_service_without_answers_passes_nothing_of_speed() -> None:
    dead = evidence(standings=[standing("npuserve", 0, 0, 5), standing("baseline", 100, 10)])
    assert len(names(dead)) == 3


def test_a_round_in_which_one_had_bad_luck_decides_nothing() -> None:
    rounds = [(Round(100, 10), Round(100, 10)), (Round(5, 900), Round(100, 10)), (Round(30, 40), Round(30, 40))]
    new, old = (
        replace(standing(name, 100, 10), rounds=tuple(pair[place] for pair in rounds))
        for place, name in enumerate(("npuserve", "baseline"))
    )
    assert [check.value for check in speed_checks(new, old, LIMITS)] == [100, 100]
    assert names(evidence(standings=[new, old])) == []


def test_a_round_without_answers_is_the_worst_of_the_new_service_and_says_nothing_of_the_old() -> None:
    none, fair = Round(0, math.nan), Round(100, 10)
    new = replace(standing("npuserve", 100, 10), rounds=(none, fair, fair, fair))
    old = replace(standing("baseline", 100, 10), rounds=(fair, fair, none, fair))
    assert [check.value for check in speed_checks(new, old, LIMITS)] == [100, 100]
    mostly_dead = replace(new, rounds=(none, none, fair, fair))
    assert [check.value for check in speed_checks(mostly_dead, old, LIMITS)] == [0, math.inf]
    silent = replace(old, rounds=(none,) * 4)
    assert all(math.isnan(check.value) for check in speed_checks(new, silent, LIMITS))


def test_better_than_the_baseline_is_no_drop() -> None:
    better = evidence(scores={"npuserve": Score(1000, 1000), "baseline": Score(905, 1000)})
    assert names(better) == []


def test_the_tables_name_both_services() -> None:
    figures = evidence(memory_mb={"npuserve": 100.0}).figures()
    assert [row["server"] for row in figures["task"]] == ["npuserve", "baseline"]
    assert figures["task"][1]["accuracy"] == pytest.approx(0.905)
    assert figures["consistency"][0]["argmax_agreement"] == pytest.approx(0.995)
    assert figures["memory"] == [{"server": "npuserve", "host_mb": 100.0}]
    assert "task" not in evidence(scores={}).figures()
    assert "entity_f1" not in figures["task"][0]
    tagged = evidence(scores={"npuserve": tagger(100), "baseline": tagger(150)}).figures()["task"]
    assert [row["entity_f1"] for row in tagged] == [0.5, 0.75]
    assert tagged[0]["entities"] == 200


def test_the_round_with_the_fewest_requests_is_known() -> None:
    assert evidence().fewest_requests == pytest.approx(80 / 3)


def test_a_slow_emulator_is_no_reason_to_plan_other_gears_first() -> None:
    slow = failed(evidence(standings=[standing("npuserve", 79, 10), standing("baseline", 100, 10)]).checks(LIMITS))
    assert advice(slow, rounds_in_software=True)[0].startswith("prove the speed on an NPU")
    assert not any("NPU" in each for each in advice(slow))
