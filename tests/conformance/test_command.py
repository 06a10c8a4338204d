"""The `npuserve` command beside `serve`."""

import subprocess

import pytest
from support.server import command, environment


def run(*arguments: str, **changes: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, env=environment(**changes), timeout=60, check=False
    )


def test_atc_is_the_compiler_itself_with_its_own_flags_and_code() -> None:
    result = run("atc", "--framework=5", "--model=/no/such.onnx", "--output=/no/such", "--soc_version=Ascend910B3")
    assert result.returncode != 0
    assert "/no/such.onnx" in result.stdout + result.stderr
    assert "usage: npuserve" not in result.stderr


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_names_the_commands(flag: str) -> None:
    result = run(flag)
    assert result.returncode == 0
    assert {"serve", "atc", "version"} <= set(result.stdout.split())


def test_help_of_serve_names_tritons_flags() -> None:
    text = run("serve", "--help").stdout
    for flag in ("--model-repository", "--grpc-port", "--exit-timeout-secs", "--exit-on-error", "--strict-readiness"):
        assert flag in text
