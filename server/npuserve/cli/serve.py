"""`npuserve serve`: reads flags and environment, composes the rooms, serves."""

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import uvloop

from npuserve import __version__
from npuserve.cli.acl_library import DEVICES, LibraryNotFoundError, acl_candidates
from npuserve.cli.grpc_flags import add_grpc_arguments, grpc_options
from npuserve.cli.parser import add_flag, add_refused, add_without_effect
from npuserve.config.options import LOG_FORMATS, ServerOptions
from npuserve.execution.ascend import AscendBackend
from npuserve.execution.identity import IdentityBackend
from npuserve.observability.logging import LogOptions, configure_logging
from npuserve.repository.loading import ModelLoader
from npuserve.repository.registry import ModelRegistry
from npuserve.service.inference import InferenceService
from npuserve.service.routes import InferRoutes
from npuserve.service.table import method_table
from npuserve.transport.front_end import FrontEnd, FrontEndError
from npuserve.transport.lifecycle import Ending, Lifecycle
from npuserve.transport.listen import raise_open_files_limit

_log = logging.getLogger(__name__)

# Flags of Triton's that command lines carry over and that change nothing here: other front ends, NVIDIA's devices,
# tuning of threads and pools that npuserve does not have.
_WITHOUT_EFFECT = (
    *("--allow-http", "--http-port", "--http-address", "--http-thread-count", "--http-max-input-size"),
    *("--reuse-http-port", "--allow-metrics", "--allow-gpu-metrics", "--allow-cpu-metrics", "--metrics-port"),
    *("--metrics-address", "--metrics-interval-ms", "--metrics-config", "--trace-config", "--allow-grpc"),
    *("--grpc-infer-thread-count", "--grpc-infer-allocation-pool-size", "--grpc-max-response-pool-size"),
    *("--pinned-memory-pool-byte-size", "--cuda-memory-pool-byte-size", "--min-supported-compute-capability"),
    *("--model-load-gpu-limit", "--enable-peer-access", "--cuda-virtual-address-size", "--buffer-manager-thread-count"),
    *("--backend-directory", "--backend-config", "--host-policy", "--repository-poll-secs", "--allow-sagemaker"),
    *("--allow-vertex-ai", "--model-load-retry-count"),
)
# Flags whose effect a user relies on: leaving them out silently would be unsafe or wrong.
_REFUSED = (
    *("--grpc-restricted-protocol", "--http-restricted-api", "--grpc-header-forward-pattern", "--load-model"),
    *("--model-namespacing", "--model-config-name", "--strict-model-config", "--rate-limit", "--rate-limit-resource"),
    *("--cache-config", "--cache-directory", "--response-cache-byte-size", "--allow-client-shm", "--log-file"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags, under Triton's names."""
    add = parser.add_argument
    add(
        "--model-repository",
        "--model-store",
        action="append",
        type=Path,
        required=True,
        metavar="DIR",
        dest="repositories",
        help="folder with one folder a model; may be given several times",
    )
    add(
        "--model-control-mode", default="none", metavar="MODE", help="how models are loaded; only 'none': all, at start"
    )
    add("--id", default="npuserve", metavar="NAME", help="server name in the metadata (%(default)s)")
    add("--exit-timeout-secs", type=float, default=30.0, metavar="S", help="time to drain in after a signal (30)")
    add_flag(parser, "--exit-on-error", True, "exit if a model fails to load (true)")
    add_flag(parser, "--strict-readiness", True, "not ready while a model has failed to load (true)")
    add_flag(parser, "--disable-auto-complete-config", False, "take configs as they are written (false)")
    add("--model-load-thread-count", type=int, default=4, metavar="N", help="models loaded at the same time (4)")
    add("--log-verbose", type=int, default=0, metavar="N", help="1 or more adds debug lines (0)")
    for level in ("info", "warning", "error"):
        add_flag(parser, f"--log-{level}", True, f"write {level} lines (true)")
    add("--log-format", default="default", metavar="FORMAT", help=f"one of {', '.join(LOG_FORMATS)}")
    add("--device", choices=DEVICES, default="auto", help="npu, emulator, or auto: npu if ASCEND_HOME_PATH is set")
    add("--acl-library", metavar="PATH", help="AscendCL library (also NPUSERVE_ACL_LIBRARY); goes before --device")
    add_grpc_arguments(parser)
    add_without_effect(parser, _WITHOUT_EFFECT)
    add_refused(parser, _REFUSED)


def run(parsed: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Serve until told to stop; return the exit code."""
    try:
        options = _options(parsed, environment)
    except (ValueError, LibraryNotFoundError) as error:
        print(f"npuserve serve: error: {error}", file=sys.stderr)
        return 1
    configure_logging(
        LogOptions(
            verbose=options.log_verbose,
            info=options.log_info,
            warning=options.log_warning,
            error=options.log_error,
            format=options.log_format,
        )
    )
    for flag in dict.fromkeys(parsed.without_effect):
        _log.warning("%s is accepted and has no effect in this version of npuserve", flag)
    raise_open_files_limit()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop if options.grpc.frontend == "native" else None) as runner:
        return runner.run(_serve(options))


async def _serve(options: ServerOptions) -> int:
    loader = ModelLoader(
        {"ascend": AscendBackend(options.acl_candidates), "identity": IdentityBackend()},
        auto_complete=not options.disable_auto_complete_config,
    )
    registry = ModelRegistry(
        loader, load_concurrency=options.model_load_concurrency, strict_readiness=options.strict_readiness
    )
    try:
        front_end = _front_end(registry, options)
    except FrontEndError as error:
        print(f"npuserve serve: error: {error}", file=sys.stderr)
        return 1
    lifecycle = Lifecycle(
        models=registry,
        front_ends=(front_end,),
        close_backends=loader.close,
        repositories=options.model_repositories,
        exit_on_error=options.exit_on_error,
        exit_timeout_secs=options.exit_timeout_secs,
    )
    try:
        ending = await lifecycle.run()
    except ExceptionGroup:
        _log.exception("the server did not stop cleanly")
        return 1
    if ending is Ending.OUT_OF_TIME:
        # Tasks and device threads that did not end in time must not hold the process.
        logging.shutdown()
        os._exit(1)
    if ending is Ending.FAILED_TO_START:
        print("error: creating server: see the lines above", file=sys.stderr)
    return 0 if ending is Ending.CLEAN else 1


def _front_end(registry: ModelRegistry, options: ServerOptions) -> FrontEnd:
    """Return the front end that was asked for; the other one's libraries stay out of the process.

    Raises FrontEndError if the TLS files cannot be used.
    """
    inference = InferenceService()
    inference.serve(registry)
    methods = method_table(registry, inference, server_id=options.server_id, server_version=__version__)
    if options.grpc.frontend == "grpcio":
        from npuserve.transport.grpc_aio import GrpcAioFrontEnd

        return GrpcAioFrontEnd(methods, options.grpc)
    from npuserve.transport.wire import WireFrontEnd

    return WireFrontEnd(methods, InferRoutes(registry), options.grpc)


def _options(parsed: argparse.Namespace, environment: Mapping[str, str]) -> ServerOptions:
    """Return the checked options. Raises ValueError, LibraryNotFoundError."""
    if parsed.model_control_mode != "none":
        raise ValueError(
            f"--model-control-mode must be 'none' in this version of npuserve, got '{parsed.model_control_mode}'"
        )
    return ServerOptions(
        model_repositories=tuple(parsed.repositories),
        server_id=parsed.id,
        grpc=grpc_options(parsed),
        exit_timeout_secs=parsed.exit_timeout_secs,
        exit_on_error=parsed.exit_on_error,
        strict_readiness=parsed.strict_readiness,
        disable_auto_complete_config=parsed.disable_auto_complete_config,
        model_load_concurrency=parsed.model_load_thread_count,
        log_verbose=parsed.log_verbose,
        log_info=parsed.log_info,
        log_warning=parsed.log_warning,
        log_error=parsed.log_error,
        log_format=parsed.log_format,
        acl_candidates=acl_candidates(parsed.acl_library, parsed.device, environment),
    )
