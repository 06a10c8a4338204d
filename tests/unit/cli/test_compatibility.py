import pytest
from npuserve.cli.compatibility import REFUSED, WITHOUT_EFFECT, renamed
from npuserve.cli.parser import Parser, add_refused, add_without_effect


@pytest.mark.parametrize(
    ("given", "today"),
    [
        (["--strict-model-config=true"], ["--disable-auto-complete-config=true"]),
        (["--strict-model-config", "false"], ["--disable-auto-complete-config=false"]),
        (["--response-cache-byte-size=1048576"], ["--cache-config=local,size=1048576"]),
        (["--trace-file", "t.json", "--id=x"], ["--trace-config=triton,file=t.json", "--id=x"]),
        (["--trace-rate=5"], ["--trace-config=rate=5"]),
        (["--id", "x"], ["--id", "x"]),
    ],
)
def test_old_flags_mean_what_they_meant(given: list[str], today: list[str]) -> None:
    assert renamed(given)[0] == today


def test_old_flags_are_named_once_each() -> None:
    assert renamed(["--trace-rate=5", "--id=x", "--trace-count", "3"])[1] == ["--trace-rate", "--trace-count"]


def test_flags_without_effect_are_accepted_with_and_without_a_value() -> None:
    parser = Parser(prog="p")
    add_without_effect(parser, WITHOUT_EFFECT)
    parsed = parser.parse_args(["--http-thread-count=8", "--enable-peer-access"])
    assert parsed.without_effect == ["--http-thread-count", "--enable-peer-access"]


@pytest.mark.parametrize("argument", ["--allow-sagemaker=true", "--model-namespacing=true", "--model-namespacing"])
def test_what_would_be_missed_is_refused_and_named(argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = Parser(prog="p")
    add_refused(parser, REFUSED)
    with pytest.raises(SystemExit):
        parser.parse_args([argument])
    assert argument.partition("=")[0] in capsys.readouterr().err


@pytest.mark.parametrize("argument", ["--model-namespacing=false", "--allow-sagemaker=False"])
def test_what_asks_for_nothing_is_accepted(argument: str) -> None:
    parser = Parser(prog="p")
    add_refused(parser, REFUSED)
    parser.parse_args([argument])
