"""The front end's options as grpc-core names them."""

from collections.abc import Mapping
from dataclasses import fields

import grpc

from npuserve.config.grpc_limits import BOUNDS, GrpcLimits
from npuserve.config.grpc_options import COMPRESSION_LEVELS, GrpcOptions, TlsOptions
from npuserve.transport.tls import server_context

# Fields of GrpcLimits, and the channel arguments that mean the same.
_ARGUMENTS: Mapping[str, str] = {
    "keepalive_time_ms": "grpc.keepalive_time_ms",
    "keepalive_timeout_ms": "grpc.keepalive_timeout_ms",
    "keepalive_permit_without_calls": "grpc.keepalive_permit_without_calls",
    "max_pings_without_data": "grpc.http2.max_pings_without_data",
    "min_recv_ping_interval_ms": "grpc.http2.min_ping_interval_without_data_ms",
    "max_ping_strikes": "grpc.http2.max_ping_strikes",
    "max_connection_idle_ms": "grpc.max_connection_idle_ms",
    "max_connection_age_ms": "grpc.max_connection_age_ms",
    "max_connection_age_grace_ms": "grpc.max_connection_age_grace_ms",
    "max_message_bytes": "grpc.max_receive_message_length",
    "max_header_list_bytes": "grpc.absolute_max_metadata_size",
    "max_concurrent_streams": "grpc.max_concurrent_streams",
    "handshake_timeout_ms": "grpc.server_handshake_timeout_ms",
}
# Where 0 means "never" or "no limit" to us and something else to grpc-core.
_ZERO_IS_NO_LIMIT = (
    "keepalive_time_ms",
    "max_connection_idle_ms",
    "max_connection_age_ms",
    "max_connection_age_grace_ms",
)
_NO_LIMIT = 2**31 - 1


def channel_arguments(options: GrpcOptions) -> list[tuple[str, int]]:
    """Return grpc-core's arguments for all that it has of the options."""
    arguments = {
        "grpc.max_send_message_length": -1,
        # grpc-core's own default would let a second server take half of the connections unnoticed.
        "grpc.so_reuseport": int(options.reuse_port),
        "grpc.default_compression_level": COMPRESSION_LEVELS.index(options.infer_response_compression_level),
        # The soft limit, above which grpc-core refuses some calls at random.
        "grpc.max_metadata_size": options.limits.max_header_list_bytes,
    }
    for name, argument in _ARGUMENTS.items():
        value = getattr(options.limits, name)
        arguments[argument] = _NO_LIMIT if name in _ZERO_IS_NO_LIMIT and value == 0 else int(value)
    return list(arguments.items())


def flags_without_effect(limits: GrpcLimits) -> list[str]:
    """Return the flags that were changed and that grpc-core has nothing for."""
    return [
        BOUNDS[field.name].flag
        for field in fields(limits)
        if field.name not in _ARGUMENTS and getattr(limits, field.name) != field.default
    ]


def server_credentials(options: TlsOptions) -> grpc.ServerCredentials:
    """Return credentials that ask for what `server_context` asks for. Raises FrontEndError as it does."""
    server_context(options)
    roots = None if options.root_cert is None else options.root_cert.read_bytes()
    pair = (options.server_key.read_bytes(), options.server_cert.read_bytes())
    return grpc.ssl_server_credentials([pair], root_certificates=roots, require_client_auth=roots is not None)
