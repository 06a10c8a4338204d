from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest
from npuserve.config.grpc_limits import BOUNDS, GrpcLimits
from npuserve.config.grpc_options import GrpcOptions, TlsOptions, tls_options

CERT, KEY, ROOT = Path("c.pem"), Path("k.pem"), Path("r.pem")


def limits(name: str, value: int) -> GrpcLimits:
    changes: dict[str, Any] = {name: value}
    return GrpcLimits(**changes)


def test_the_defaults_are_tritons() -> None:
    options = GrpcOptions()
    assert (options.address, options.port, options.reuse_port, options.tls) == ("0.0.0.0", 8001, False, None)
    assert options.infer_response_compression_level == "none"
    bounds = options.limits
    assert (bounds.keepalive_time_ms, bounds.keepalive_timeout_ms) == (7_200_000, 20_000)
    assert (bounds.max_pings_without_data, bounds.min_recv_ping_interval_ms, bounds.max_ping_strikes) == (2, 300_000, 2)
    assert (bounds.max_connection_age_ms, bounds.max_connection_age_grace_ms) == (0, 0)
    assert not bounds.keepalive_permit_without_calls


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frontend": "http"}, "--frontend must be one of native, grpcio, got 'http'"),
        ({"address": ""}, "--grpc-address must not be empty"),
        ({"port": 65536}, "--grpc-port must be in range [0, 65535], got 65536"),
        ({"port": -1}, "--grpc-port must be in range [0, 65535], got -1"),
        ({"unix_socket": Path()}, "--grpc-unix-socket must name a file"),
        (
            {"infer_response_compression_level": "best"},
            "--grpc-infer-response-compression-level must be one of none, low, medium, high, got 'best'",
        ),
    ],
)
def test_a_wrong_option_is_refused_by_flag_and_choices(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        GrpcOptions(**changes)
    assert str(caught.value) == message


@pytest.mark.parametrize("name", BOUNDS)
def test_a_bound_may_be_at_both_ends_of_its_range_and_not_beyond(name: str) -> None:
    bound = BOUNDS[name]
    for value in (bound.low, bound.high):
        assert getattr(limits(name, value), name) == value
    unit = f" {bound.unit}" if bound.unit else ""
    for value in (bound.low - 1, bound.high + 1):
        with pytest.raises(ValueError) as caught:
            limits(name, value)
        assert str(caught.value) == f"{bound.flag} must be in range [{bound.low}, {bound.high}]{unit}, got {value}"


def test_without_tls_flags_it_is_clear_text() -> None:
    assert tls_options(use_ssl=False, mutual=False, server_cert=CERT, server_key=KEY, root_cert=ROOT) is None


def test_tls_takes_no_heed_of_roots_unless_it_is_mutual() -> None:
    plain = tls_options(use_ssl=True, mutual=False, server_cert=CERT, server_key=KEY, root_cert=ROOT)
    assert plain == TlsOptions(server_cert=CERT, server_key=KEY, root_cert=None)
    for use_ssl in (False, True):
        mutual = tls_options(use_ssl=use_ssl, mutual=True, server_cert=CERT, server_key=KEY, root_cert=ROOT)
        assert mutual == TlsOptions(server_cert=CERT, server_key=KEY, root_cert=ROOT)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"use_ssl": True, "server_cert": None}, "--grpc-use-ssl needs --grpc-server-cert"),
        ({"use_ssl": True, "server_key": None}, "--grpc-use-ssl needs --grpc-server-key"),
        ({"mutual": True, "server_key": None}, "--grpc-use-ssl-mutual needs --grpc-server-key"),
        ({"mutual": True, "root_cert": None}, "--grpc-use-ssl-mutual needs --grpc-root-cert"),
    ],
)
def test_a_file_that_tls_needs_is_asked_for(given: dict[str, Any], message: str) -> None:
    fitting: dict[str, Any] = {
        "use_ssl": False,
        "mutual": False,
        "server_cert": CERT,
        "server_key": KEY,
        "root_cert": ROOT,
    }
    with pytest.raises(ValueError) as caught:
        tls_options(**fitting | given)
    assert str(caught.value) == message


def test_options_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        GrpcOptions().port = 1  # type: ignore[misc]
