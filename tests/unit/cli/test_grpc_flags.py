from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from npuserve.cli.grpc_flags import add_grpc_arguments, grpc_options
from npuserve.cli.parser import Parser
from npuserve.config.grpc_limits import BOUNDS, GrpcLimits
from npuserve.config.grpc_options import GrpcOptions, TlsOptions


def read(*flags: str) -> GrpcOptions:
    parser = Parser(prog="p")
    add_grpc_arguments(parser.add_argument_group("gRPC"))
    options = grpc_options(parser.parse_args(flags))
    assert options is not None
    return options


def test_without_flags_the_options_are_the_defaults() -> None:
    assert read() == GrpcOptions()


@pytest.mark.parametrize(
    ("flag", "changes"),
    [
        ("--frontend=grpcio", {"frontend": "grpcio"}),
        ("--grpc-address=::", {"address": "::"}),
        ("--grpc-port=0", {"port": 0}),
        ("--grpc-unix-socket=/run/s", {"unix_socket": Path("/run/s")}),
        ("--reuse-grpc-port", {"reuse_port": True}),
        ("--grpc-infer-response-compression-level=high", {"infer_response_compression_level": "high"}),
        (
            "--grpc-keepalive-permit-without-calls=true",
            {"limits": GrpcLimits(keepalive_permit_without_calls=True)},
        ),
    ],
)
def test_a_flag_sets_its_option_alone(flag: str, changes: dict[str, Any]) -> None:
    assert read(flag) == GrpcOptions(**changes)


@pytest.mark.parametrize("name", BOUNDS)
def test_a_limits_flag_sets_its_limit_alone(name: str) -> None:
    changes: dict[str, Any] = {name: BOUNDS[name].low + 7}
    assert read(f"{BOUNDS[name].flag}={changes[name]}") == GrpcOptions(limits=GrpcLimits(**changes))


def test_every_number_among_the_limits_has_a_flag() -> None:
    assert {field.name for field in fields(GrpcLimits)} == {*BOUNDS, "keepalive_permit_without_calls"}


def test_tritons_tls_flags_are_read() -> None:
    files = ("--grpc-server-cert=c", "--grpc-server-key=k", "--grpc-root-cert=r")
    assert read(*files) == GrpcOptions()
    assert read("--grpc-use-ssl", *files).tls == TlsOptions(server_cert=Path("c"), server_key=Path("k"))
    mutual = TlsOptions(server_cert=Path("c"), server_key=Path("k"), root_cert=Path("r"))
    assert read("--grpc-use-ssl-mutual", *files).tls == mutual
    with pytest.raises(ValueError, match="--grpc-use-ssl needs --grpc-server-cert"):
        read("--grpc-use-ssl")


def test_a_value_out_of_range_is_refused_by_its_flag() -> None:
    with pytest.raises(ValueError, match=r"^--grpc-keepalive-timeout must be in range \[1, 2147483647\] ms, got 0$"):
        read("--grpc-keepalive-timeout=0")


def test_the_help_gives_every_flag_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read("--help")
    text = " ".join(capsys.readouterr().out.split())
    assert "silence after which a client is pinged; 0: never (7200000 ms)" in text
    for bound in BOUNDS.values():
        assert f"{bound.flag} N" in text
