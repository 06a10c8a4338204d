"""Composes the rooms of a server from its options, and runs it."""

import logging
import os
import sys

from npuserve import __version__
from npuserve.config.options import ServerOptions
from npuserve.execution.ascend import AscendBackend
from npuserve.execution.identity import IdentityBackend
from npuserve.repository.loading import ModelLoader
from npuserve.repository.registry import ModelRegistry
from npuserve.service.inference import InferenceService
from npuserve.service.routes import InferRoutes
from npuserve.service.table import TableOptions, method_table
from npuserve.transport.front_end import FrontEnd, FrontEndError
from npuserve.transport.lifecycle import Ending, Lifecycle

_log = logging.getLogger(__name__)


async def serve(options: ServerOptions) -> int:
    """Serve until told to stop; return the exit code."""
    loader = ModelLoader(
        {"ascend": AscendBackend(options.acl_candidates), "identity": IdentityBackend()},
        auto_complete=not options.disable_auto_complete_config,
    )
    registry = ModelRegistry(
        loader,
        load_concurrency=options.model_load_concurrency,
        strict_readiness=options.strict_readiness,
        control=options.control,
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
    methods = method_table(registry, inference, TableOptions(server_id=options.server_id, server_version=__version__))
    if options.grpc.frontend == "grpcio":
        from npuserve.transport.grpc_aio import GrpcAioFrontEnd

        return GrpcAioFrontEnd(methods, options.grpc)
    from npuserve.transport.wire import WireFrontEnd

    return WireFrontEnd(methods, InferRoutes(registry), options.grpc)
