from collections.abc import Mapping, Sequence

import pytest
from npuserve.core.errors import ServeError
from npuserve.core.status import StatusCode
from npuserve.observability.tracing import TraceSetting, TraceSettings

ON = TraceSetting(levels=("TIMESTAMPS",), rate=1)


def taken(settings: TraceSettings, model: str, requests: int) -> list[int]:
    """Which of so many requests are traced, from 1."""
    return [number for number in range(1, requests + 1) if settings.take(model)]


def settings_of(start: TraceSetting) -> TraceSettings:
    return TraceSettings(start, file="/tmp/trace.json")


def test_nothing_is_traced_without_a_level() -> None:
    settings = settings_of(TraceSetting(rate=1))
    assert not settings.is_on
    assert taken(settings, "m", 5) == []


def test_every_so_manyth_request_is_traced_until_the_count_is_reached() -> None:
    settings = settings_of(TraceSetting(levels=("TIMESTAMPS",), rate=3, count=2))
    assert taken(settings, "m", 20) == [3, 6]


def test_without_a_count_there_is_no_end() -> None:
    assert taken(settings_of(ON), "m", 4) == [1, 2, 3, 4]


def test_a_model_with_settings_of_its_own_counts_for_itself() -> None:
    settings = settings_of(TraceSetting())
    settings.change("own", {"trace_level": ["TIMESTAMPS"], "trace_rate": ["2"]})
    assert settings.is_on
    assert taken(settings, "own", 4) == [2, 4]
    assert taken(settings, "other", 2000) == []


def test_a_change_starts_the_count_anew_and_tells_watchers() -> None:
    settings = settings_of(TraceSetting(levels=("TIMESTAMPS",), rate=1, count=1))
    told: list[bool] = []
    settings.watch(lambda: told.append(settings.is_on))
    assert taken(settings, "m", 3) == [1]
    settings.change("", {"trace_count": ["2"]})
    assert taken(settings, "m", 3) == [1, 2]
    settings.change("", {"trace_level": ["OFF"]})
    settings.change("", {"unknown": ["x"]})
    assert told == [True, False]


def test_what_a_model_has_not_of_its_own_follows_the_global_setting() -> None:
    settings = settings_of(TraceSetting())
    settings.change("m", {"trace_rate": ["5"]})
    settings.change("", {"trace_level": ["TENSORS"], "trace_rate": ["9"]})
    assert settings.setting("m") == TraceSetting(levels=("TENSORS",), rate=5)
    settings.change("m", {"trace_rate": []})
    assert settings.setting("m").rate == 9
    settings.change("", {"trace_rate": [], "trace_level": []})
    assert settings.setting("m") == TraceSetting()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"trace_rate": ["x"]}, "Unable to parse 'trace_rate', got: x"),
        ({"trace_rate": [""]}, "Unable to parse 'trace_rate', got: "),
        ({"trace_rate": ["9" * 30]}, f"value is out of range [ 0, 4294967295 ], got: {'9' * 30}"),
        ({"trace_count": ["-2"]}, "Unable to parse 'trace_count'. Expecting value >= -1, got: -2"),
        ({"trace_level": ["OFF", "TIMESTAMPS"]}, "Expect only one trace level 'OFF' is specified"),
    ],
)
def test_what_is_no_setting_is_refused_with_nothing_changed(given: Mapping[str, Sequence[str]], message: str) -> None:
    settings = settings_of(ON)
    with pytest.raises(ServeError) as raised:
        settings.change("m", {"log_frequency": ["3"], **given})
    assert raised.value.status is StatusCode.INVALID_ARGUMENT
    assert message in raised.value.message
    assert settings.setting("m") == ON


def test_a_number_is_read_as_far_as_its_digits_go() -> None:
    settings = settings_of(ON)
    settings.change("", {"trace_rate": ["5x"]})
    assert settings.setting().rate == 5


def test_traces_that_go_nowhere_cannot_be_turned_on() -> None:
    settings = TraceSettings(TraceSetting())
    with pytest.raises(ServeError, match="Attempting to set invalid trace setting :trace file name is not given"):
        settings.change("", {"trace_level": ["TIMESTAMPS"]})
    settings.change("", {"trace_rate": ["5"]})
    assert settings.setting() == TraceSetting(rate=5)
    spans = TraceSettings(TraceSetting(), mode="opentelemetry")
    spans.change("", {"trace_level": ["TIMESTAMPS"]})
    assert spans.is_on
