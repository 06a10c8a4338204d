"""`npuserve serve`: reads flags and environment, composes the rooms, serves."""

import argparse
import asyncio
import logging
import sys
from collections.abc import Mapping

import uvloop

from npuserve.cli.acl_library import LibraryNotFoundError, acl_candidates
from npuserve.cli.compatibility import REFUSED, WITHOUT_EFFECT
from npuserve.cli.composition import serve
from npuserve.cli.grpc_flags import add_grpc_arguments, grpc_options
from npuserve.cli.http_flags import (
    add_http_arguments,
    add_metrics_arguments,
    http_options,
    metrics_endpoint,
    metrics_options,
)
from npuserve.cli.parser import add_refused, add_without_effect
from npuserve.cli.server_flags import (
    add_device_arguments,
    add_life_arguments,
    add_log_arguments,
    add_model_arguments,
    control_options,
    device_sharing,
)
from npuserve.cli.settings import backend_settings, cache_bytes, default_max_batch_sizes
from npuserve.config.options import ServerOptions
from npuserve.config.trace_options import parse_trace_options
from npuserve.migrate.shadow import Shadow
from npuserve.observability.logging import LogOptions, configure_logging
from npuserve.transport.listen import raise_open_files_limit

_log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags, under Triton's names."""
    group = parser.add_argument_group
    add_model_arguments(group("models"))
    add_life_arguments(group("server"))
    add_grpc_arguments(group("gRPC"))
    add_http_arguments(group("HTTP/REST"))
    add_metrics_arguments(group("metrics"))
    add_log_arguments(group("logs and traces"))
    add_device_arguments(group("devices"))
    add_without_effect(parser, WITHOUT_EFFECT)
    add_refused(parser, REFUSED)


def run(parsed: argparse.Namespace, environment: Mapping[str, str], shadow: Shadow | None = None) -> int:
    """Serve until told to stop; return the exit code. Raises MigrationError if a shadow cannot be started."""
    try:
        options = _options(parsed, environment)
    except (ValueError, LibraryNotFoundError) as error:
        print(f"npuserve serve: error: {error}", file=sys.stderr)
        return 1
    try:
        log_settings = configure_logging(_log_options(options))
    except OSError as error:
        print(f"npuserve serve: error: --log-file: {error}", file=sys.stderr)
        return 1
    for flag in dict.fromkeys(parsed.without_effect):
        _log.warning("%s is accepted and has no effect in this version of npuserve", flag)
    for setting in backend_settings(parsed.backend_config):
        if not setting.has_effect:
            _log.warning("--backend-config %s,%s has no effect in npuserve", setting.backend, setting.key)
    raise_open_files_limit()
    is_reference = options.grpc is not None and options.grpc.frontend == "grpcio"
    loop_factory = None if is_reference else uvloop.new_event_loop
    if shadow is None:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            return runner.run(serve(options, log_settings))
    shadow.start()
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            code = runner.run(serve(options, log_settings, shadow))
    finally:
        shadow.stop()
    return code or shadow.exit_code


def _log_options(options: ServerOptions) -> LogOptions:
    return LogOptions(
        verbose=options.log_verbose,
        info=options.log_info,
        warning=options.log_warning,
        error=options.log_error,
        format=options.log_format,
        file=str(options.log_file or ""),
    )


def _options(parsed: argparse.Namespace, environment: Mapping[str, str]) -> ServerOptions:
    """Return the checked options. Raises ValueError, LibraryNotFoundError."""
    return ServerOptions(
        model_repositories=tuple(parsed.repositories),
        control=control_options(parsed),
        server_id=parsed.id,
        grpc=grpc_options(parsed),
        http=http_options(parsed),
        metrics_endpoint=metrics_endpoint(parsed),
        metrics=metrics_options(parsed),
        trace=parse_trace_options(parsed.trace_config),
        exit_timeout_secs=parsed.exit_timeout_secs,
        exit_on_error=parsed.exit_on_error,
        strict_readiness=parsed.strict_readiness,
        disable_auto_complete_config=parsed.disable_auto_complete_config,
        model_load_concurrency=parsed.model_load_thread_count,
        default_max_batch_sizes=default_max_batch_sizes(backend_settings(parsed.backend_config)),
        response_cache_bytes=cache_bytes(parsed.cache_config),
        allow_client_shm=parsed.allow_client_shm,
        log_verbose=parsed.log_verbose,
        log_info=parsed.log_info,
        log_warning=parsed.log_warning,
        log_error=parsed.log_error,
        log_format=parsed.log_format,
        log_file=parsed.log_file,
        log_slow_requests_ms=parsed.log_slow_requests_ms,
        acl_candidates=acl_candidates(parsed.acl_library, parsed.device, environment),
        sharing=device_sharing(parsed),
    )
