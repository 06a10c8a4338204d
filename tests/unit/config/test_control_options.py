from typing import Any

import pytest
from npuserve.config.control_options import ControlOptions


def test_the_defaults_are_tritons() -> None:
    options = ControlOptions()
    assert (options.mode, options.poll_secs, options.load_retry_count) == ("none", 15.0, 0)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"mode": "sometimes"}, "--model-control-mode must be one of none, explicit, poll, got 'sometimes'"),
        ({"load_models": ("a",)}, "--load-model can only be given with --model-control-mode=explicit"),
        ({"mode": "explicit", "load_models": ("*", "a")}, "must be the only --load-model"),
        ({"mode": "explicit", "load_models": ("",)}, "--load-model must name a model"),
        ({"mode": "poll", "poll_secs": 0}, "--repository-poll-secs must be more than 0 seconds, got 0"),
        ({"load_retry_count": -1}, "--model-load-retry-count must be 0 or more, got -1"),
        ({"config_name": "../x"}, "--model-config-name must be a file's name, got '../x'"),
    ],
)
def test_an_option_out_of_its_range_is_named(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError) as caught:
        ControlOptions(**changes)
    assert named in str(caught.value)
