"""What the log shows when the models are loaded: the models and the options, as tables."""

import logging
from collections.abc import Sequence

from npuserve import __version__
from npuserve.cli.tables import table
from npuserve.config.options import ServerOptions
from npuserve.repository.states import IndexEntry

_log = logging.getLogger(__name__)


def log_models(index: Sequence[IndexEntry]) -> None:
    """Show each version with its state, and why it is not ready."""
    _log.info("\n%s", table(("Model", "Version", "Status"), [_model_row(entry) for entry in index]))


def log_options(options: ServerOptions) -> None:
    """Show what the server was told, under Triton's names."""
    _log.info("\n%s", table(("Option", "Value"), option_rows(options)))


def option_rows(options: ServerOptions) -> list[tuple[str, str]]:
    """Return the options that say what is served, each with its value as text."""
    return [
        ("server_id", options.server_id),
        ("server_version", __version__),
        *((f"model_repository_path[{place}]", str(path)) for place, path in enumerate(options.model_repositories)),
        ("model_control_mode", f"MODE_{options.control.mode.upper()}"),
        ("model_config_name", options.control.config_name),
        ("strict_model_config", _number(options.disable_auto_complete_config)),
        ("startup_models", ", ".join(options.control.load_models)),
        ("strict_readiness", _number(options.strict_readiness)),
        ("exit_timeout", f"{options.exit_timeout_secs:g}"),
        ("cache_enabled", _number(options.response_cache_bytes > 0)),
        ("client_shared_memory", {None: "local peers", True: "all peers", False: "none"}[options.allow_client_shm]),
        ("frontend", "-" if options.grpc is None else options.grpc.frontend),
        ("acl_libraries", "\n".join(", ".join(files) for files in options.acl_candidates)),
    ]


def _model_row(entry: IndexEntry) -> tuple[str, str, str]:
    state = entry.state or "UNAVAILABLE"
    return entry.name, entry.version or "-", f"{state}: {entry.reason}" if entry.reason else state


def _number(value: bool) -> str:
    return "1" if value else "0"
