from pathlib import Path

import pytest
from npuserve import __version__
from npuserve.cli.main import main
from npuserve.cli.parser import Parser, add_flag


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert capsys.readouterr().out == f"{__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["nope"], ["version", "--nope"], ["serve"]])
def test_a_wrong_command_line_ends_with_usage_and_code_1(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 1
    assert capsys.readouterr().err.startswith("usage: npuserve")


def test_an_old_flag_is_taken_with_a_warning_that_names_todays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    switches = ["--allow-grpc=false", "--allow-http=false", "--allow-metrics=false"]
    code = main(["serve", "--model-repository", str(tmp_path), "--strict-model-config=false", *switches])
    assert code == 1
    warning, error = capsys.readouterr().err.splitlines()
    assert warning == (
        "npuserve: warning: --strict-model-config is an old flag, today it is --disable-auto-complete-config"
    )
    assert "at least one of --allow-grpc" in error


@pytest.mark.parametrize(
    ("given", "value"),
    [
        *((["--flag", word], True) for word in ("true", "on", "1", "TRUE", "On")),
        *(([f"--flag={word}"], False) for word in ("false", "off", "0", "False")),
        (["--flag"], True),
        ([], False),
    ],
)
def test_booleans_are_read_as_triton_reads_them(given: list[str], value: bool) -> None:
    parser = Parser(prog="p")
    add_flag(parser, "--flag", False, "a flag")
    assert parser.parse_args(given).flag is value
