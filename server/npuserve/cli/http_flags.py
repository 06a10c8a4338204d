"""The flags of the HTTP front ends: REST and metrics."""

import argparse

from npuserve.cli.parser import add_flag
from npuserve.config.http_options import MAX_INPUT_BYTES, HttpOptions
from npuserve.config.metrics_options import MetricsOptions, parse_metrics_options
from npuserve.config.restricted import parse_restrictions
from npuserve.service.forwarding import forward_pattern


def add_http_arguments(group: argparse._ArgumentGroup) -> None:
    """Add the flags of HTTP/REST; `http_options` reads them."""
    add = group.add_argument
    add_flag(group, "--allow-http", True, "serve HTTP/REST (true)")
    add("--http-address", default="0.0.0.0", metavar="HOST", help="address to listen on (%(default)s)")
    add("--http-port", type=int, default=8000, metavar="PORT", help="port to listen on; 0 takes a free one (8000)")
    add_flag(group, "--reuse-http-port", False, "let other servers listen on the same port (false)")
    add(
        "--http-max-input-size",
        type=int,
        default=MAX_INPUT_BYTES,
        metavar="BYTES",
        help="most bytes of a body's JSON part, of a raw body, and unpacked (%(default)s)",
    )
    add("--http-header-forward-pattern", default="", metavar="REGEX", help="headers that become request parameters")
    add(
        "--http-restricted-api",
        action="append",
        default=[],
        metavar="APIS:KEY=VALUE",
        help="calls that need header KEY with VALUE; may be repeated",
    )


def add_metrics_arguments(group: argparse._ArgumentGroup) -> None:
    """Add the flags of the metrics endpoint; `metrics_endpoint` reads where it listens."""
    add = group.add_argument
    add_flag(group, "--allow-metrics", True, "serve /metrics (true)")
    add_flag(group, "--allow-gpu-metrics", True, "tell of the NPUs, also under nv_gpu_* names (true)")
    add_flag(group, "--allow-cpu-metrics", True, "tell of the host's CPUs and memory (true)")
    add("--metrics-address", metavar="HOST", help="address to listen on (that of --http-address)")
    add("--metrics-port", type=int, default=8002, metavar="PORT", help="port to listen on; 0 takes a free one (8002)")
    add("--metrics-interval-ms", type=int, default=2000, metavar="MS", help="how often devices are asked (2000)")
    add(
        "--metrics-config",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="counter_latencies, summary_latencies, histogram_latencies or summary_quantiles; may be repeated",
    )


def http_options(parsed: argparse.Namespace) -> HttpOptions | None:
    """Return the checked options of HTTP/REST, None if it is not to be served. Raises ValueError."""
    if not parsed.allow_http:
        return None
    return HttpOptions(
        address=parsed.http_address,
        port=parsed.http_port,
        reuse_port=parsed.reuse_http_port,
        max_input_bytes=parsed.http_max_input_size,
        restrictions=parse_restrictions("--http-restricted-api", parsed.http_restricted_api, noun="api"),
        forwarded_headers=forward_pattern(parsed.http_header_forward_pattern),
    )


def metrics_endpoint(parsed: argparse.Namespace) -> HttpOptions | None:
    """Return where the metrics are served, None if they are not. Raises ValueError."""
    if not parsed.allow_metrics:
        return None
    return HttpOptions(name="metrics", address=parsed.metrics_address or parsed.http_address, port=parsed.metrics_port)


def metrics_options(parsed: argparse.Namespace) -> MetricsOptions:
    """Return what the metrics tell of. Raises ValueError."""
    return parse_metrics_options(
        parsed.metrics_config,
        devices=parsed.allow_gpu_metrics,
        host=parsed.allow_cpu_metrics,
        interval_ms=parsed.metrics_interval_ms,
    )
