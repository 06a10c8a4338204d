from typing import Any

import pytest
from npuserve.config.grpc_limits import BOUNDS, GrpcLimits
from npuserve.config.grpc_options import GrpcOptions
from npuserve.transport.grpc_aio_options import channel_arguments, flags_without_effect

NEVER = 2**31 - 1


def test_the_defaults_are_grpcs_but_for_message_sizes_and_the_shared_port() -> None:
    assert dict(channel_arguments(GrpcOptions())) == {
        "grpc.max_send_message_length": -1,
        "grpc.max_receive_message_length": 2**31 - 1,
        "grpc.so_reuseport": 0,
        "grpc.default_compression_level": 0,
        "grpc.max_metadata_size": 16384,
        "grpc.absolute_max_metadata_size": 16384,
        "grpc.keepalive_time_ms": 7_200_000,
        "grpc.keepalive_timeout_ms": 20_000,
        "grpc.keepalive_permit_without_calls": 0,
        "grpc.http2.max_pings_without_data": 2,
        "grpc.http2.min_ping_interval_without_data_ms": 300_000,
        "grpc.http2.max_ping_strikes": 2,
        "grpc.max_connection_idle_ms": NEVER,
        "grpc.max_connection_age_ms": NEVER,
        "grpc.max_connection_age_grace_ms": NEVER,
        "grpc.max_concurrent_streams": 1024,
        "grpc.server_handshake_timeout_ms": 20_000,
    }


@pytest.mark.parametrize("level", ["none", "low", "medium", "high"])
def test_levels_of_compression_are_grpcs(level: str) -> None:
    arguments = dict(channel_arguments(GrpcOptions(infer_response_compression_level=level)))
    assert arguments["grpc.default_compression_level"] == ["none", "low", "medium", "high"].index(level)


def test_every_flag_takes_effect_or_is_said_to_have_none() -> None:
    for name, bound in BOUNDS.items():
        changes: dict[str, Any] = {name: bound.low + 1}
        limits = GrpcLimits(**changes)
        changed = channel_arguments(GrpcOptions(limits=limits)) != channel_arguments(GrpcOptions())
        assert changed != (flags_without_effect(limits) == [bound.flag]), name


def test_flags_at_their_defaults_are_not_mentioned() -> None:
    assert flags_without_effect(GrpcLimits()) == []
