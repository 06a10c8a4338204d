import pytest
from npuserve.config.trace_options import DEFAULT_URL, TraceOptions, parse_trace_options


def test_without_flags_nothing_is_traced() -> None:
    options = parse_trace_options([])
    assert options == TraceOptions()
    assert (options.levels, options.rate, options.count, options.mode, options.url) == (
        (),
        1000,
        -1,
        "triton",
        DEFAULT_URL,
    )


def test_settings_are_read_with_and_without_their_mode() -> None:
    options = parse_trace_options(
        ["level=TIMESTAMPS", "level=TENSORS", "level=TIMESTAMPS", "rate=5", "count=7", "triton,file=/tmp/a=b,c",
         "triton,log-frequency=3", "opentelemetry,url=http://h:1/v1/traces", "opentelemetry,resource=k=v=w",
         "opentelemetry,bsp_max_queue_size=2048", "mode=opentelemetry"]
    )  # fmt: skip
    assert options == TraceOptions(
        levels=("TIMESTAMPS", "TENSORS"),
        rate=5,
        count=7,
        mode="opentelemetry",
        file="/tmp/a=b,c",
        log_frequency=3,
        url="http://h:1/v1/traces",
        resource=(("service.name", "npuserve"), ("k", "v=w")),
    )


def test_off_takes_the_levels_back() -> None:
    assert parse_trace_options(["level=TIMESTAMPS", "level=OFF"]).levels == ()


@pytest.mark.parametrize(
    "text",
    ["", "level", "level=ALL", "rate=0", "rate=x", "count=-2", "mode=zipkin", "zipkin,url=x", "triton,nope=1", "nope=1",
     "triton,log-frequency=-1", "opentelemetry,url=ftp://x", "rate=4294967296"],
)  # fmt: skip
def test_what_is_no_setting_is_refused_naming_the_flag(text: str) -> None:
    with pytest.raises(ValueError, match="--trace-config"):
        parse_trace_options([text])
