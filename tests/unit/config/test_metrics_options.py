import pytest
from npuserve.config.metrics_options import DEFAULT_QUANTILES, MetricsOptions, parse_metrics_options


def test_counters_alone_are_told_by_default() -> None:
    options = parse_metrics_options([])
    assert options == MetricsOptions()
    assert (options.counter_latencies, options.summary_latencies, options.histogram_latencies) == (True, False, False)
    assert options.quantiles == DEFAULT_QUANTILES


def test_settings_are_read() -> None:
    options = parse_metrics_options(
        ["summary_latencies=true", "counter_latencies=OFF", "summary_quantiles=0.5:0.05,0.9:0.01"],
        devices=False,
        host=False,
        interval_ms=5,
    )
    assert options == MetricsOptions(
        counter_latencies=False,
        summary_latencies=True,
        quantiles=((0.5, 0.05), (0.9, 0.01)),
        devices=False,
        host=False,
        interval_ms=5,
    )


@pytest.mark.parametrize(
    "text", ["", "nope=true", "summary_latencies=maybe", "summary_quantiles=0.5", "summary_quantiles=2:0.1", "x"]
)
def test_what_is_no_setting_is_refused_naming_the_flag(text: str) -> None:
    with pytest.raises(ValueError, match="--metrics-config"):
        parse_metrics_options([text])


def test_an_interval_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="--metrics-interval-ms must be 1 or more, got 0"):
        parse_metrics_options([], interval_ms=0)
