import io
import json
import logging
import re
from collections.abc import Iterator

import pytest
from npuserve.observability.logging import LogOptions, configure_logging


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def written(options: LogOptions) -> list[str]:
    stream = io.StringIO()
    configure_logging(options, stream)
    log = logging.getLogger("npuserve.x")
    log.debug("fine")
    log.info("said %d", 1)
    log.warning("warned")
    try:
        raise ValueError("inner")
    except ValueError:
        log.exception("failed")
    return stream.getvalue().splitlines()


def test_text_lines_lead_as_tritons_do() -> None:
    lines = written(LogOptions())
    assert re.fullmatch(r"I\d{4} \d\d:\d\d:\d\d\.\d{6} \d+ test_logging:\d+\] said 1", lines[0])
    assert lines[1].startswith("W")
    assert lines[-1] == "ValueError: inner"


def test_iso_lines_lead_with_the_whole_date() -> None:
    line = written(LogOptions(format="ISO8601"))[0]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z I \d+ test_logging:\d+\] said 1", line)


def test_json_lines_are_one_object_each_with_the_exception_inside() -> None:
    objects = [json.loads(line) for line in written(LogOptions(format="json"))]
    assert [(line["level"], line["message"]) for line in objects] == [
        ("info", "said 1"),
        ("warning", "warned"),
        ("error", "failed"),
    ]
    assert "ValueError: inner" in objects[2]["exception"]


@pytest.mark.parametrize(
    ("options", "messages"),
    [
        (LogOptions(verbose=1, format="json"), ["fine", "said 1", "warned", "failed"]),
        (LogOptions(info=False, format="json"), ["warned", "failed"]),
        (LogOptions(warning=False, error=False, format="json"), ["said 1"]),
    ],
)
def test_levels_are_switched_one_by_one(options: LogOptions, messages: list[str]) -> None:
    assert [json.loads(line)["message"] for line in written(options)] == messages
