"""The flags of the gRPC front end: Triton's names and units, and our own beside them."""

import argparse
from dataclasses import fields
from pathlib import Path

from npuserve.cli.parser import add_flag
from npuserve.config.grpc_limits import BOUNDS, GrpcLimits
from npuserve.config.grpc_options import COMPRESSION_LEVELS, FRONT_ENDS, GrpcOptions, tls_options
from npuserve.config.restricted import parse_restrictions
from npuserve.service.forwarding import forward_pattern


def add_grpc_arguments(parser: argparse._ArgumentGroup) -> None:
    """Add the flags; `grpc_options` reads them."""
    add = parser.add_argument
    add_flag(parser, "--allow-grpc", True, "serve gRPC (true)")
    add("--frontend", default="native", metavar="NAME", help=f"one of {', '.join(FRONT_ENDS)} (%(default)s)")
    add(
        "--grpc-address", default="0.0.0.0", metavar="HOST", help="address to listen on; '::' is IPv4 too (%(default)s)"
    )
    add("--grpc-port", type=int, default=8001, metavar="PORT", help="port to listen on; 0 takes a free one (8001)")
    add("--grpc-unix-socket", type=Path, metavar="PATH", help="Unix socket to listen on besides the port")
    add_flag(parser, "--reuse-grpc-port", False, "let other servers listen on the same port (false)")
    add_flag(parser, "--grpc-use-ssl", False, "serve with TLS (false)")
    add_flag(parser, "--grpc-use-ssl-mutual", False, "serve with TLS to clients that show a certificate (false)")
    for name, text in (("server-cert", "the server's certificate"), ("server-key", "its key"), ("root-cert", "roots")):
        add(f"--grpc-{name}", type=Path, metavar="FILE", help=f"{text}, PEM")
    add(
        "--grpc-infer-response-compression-level",
        default="none",
        metavar="LEVEL",
        help=f"one of {', '.join(COMPRESSION_LEVELS)} (%(default)s)",
    )
    add("--grpc-header-forward-pattern", default="", metavar="REGEX", help="headers that become request parameters")
    add(
        "--grpc-restricted-protocol",
        action="append",
        default=[],
        metavar="PROTOCOLS:KEY=VALUE",
        help="calls that need header triton-grpc-protocol-KEY with VALUE; may be repeated",
    )
    add_flag(parser, "--grpc-keepalive-permit-without-calls", False, "allow pings while no call is open (false)")
    defaults = {field.name: field.default for field in fields(GrpcLimits)}
    for name, bound in BOUNDS.items():
        add(bound.flag, type=int, default=defaults[name], metavar="N", dest=name, help=_help(name, defaults[name]))


def grpc_options(parsed: argparse.Namespace) -> GrpcOptions | None:
    """Return the checked options, None if gRPC is not to be served. Raises ValueError, naming the flag."""
    if not parsed.allow_grpc:
        return None
    return GrpcOptions(
        frontend=parsed.frontend,
        address=parsed.grpc_address,
        port=parsed.grpc_port,
        unix_socket=parsed.grpc_unix_socket,
        reuse_port=parsed.reuse_grpc_port,
        tls=tls_options(
            use_ssl=parsed.grpc_use_ssl,
            mutual=parsed.grpc_use_ssl_mutual,
            server_cert=parsed.grpc_server_cert,
            server_key=parsed.grpc_server_key,
            root_cert=parsed.grpc_root_cert,
        ),
        infer_response_compression_level=parsed.grpc_infer_response_compression_level,
        restrictions=parse_restrictions("--grpc-restricted-protocol", parsed.grpc_restricted_protocol, noun="protocol"),
        forwarded_headers=forward_pattern(parsed.grpc_header_forward_pattern),
        limits=GrpcLimits(
            keepalive_permit_without_calls=parsed.grpc_keepalive_permit_without_calls,
            **{name: getattr(parsed, name) for name in BOUNDS},
        ),
    )


def _help(name: str, default: object) -> str:
    bound = BOUNDS[name]
    return f"{bound.text} ({default} {bound.unit}".rstrip() + ")"
