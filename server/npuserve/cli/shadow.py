"""`npuserve shadow`: serves, and compares a share of the answers with those of another server."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from npuserve.cli import serve
from npuserve.cli.shadow_flags import add_shadow_arguments, shadow_options
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.shadow import Shadow, ShadowOptions
from npuserve.migrate.shadow.again import repeat


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags: its own, and all of `npuserve serve`."""
    add_shadow_arguments(parser)
    parser.add_argument(
        "--replay", type=Path, metavar="DIR", help="send a kept case to the reference again, print, and end"
    )
    serve.add_arguments(parser)
    # The options say so themselves, and --replay serves nothing.
    parser.set_defaults(repositories=[])
    for action in parser._actions:
        action.required = action.required and action.dest != "repositories"


def run(parsed: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Serve until told to stop; return the server's exit code, or 3 if the comparison is beyond its limits."""
    try:
        options = shadow_options(parsed)
        if parsed.replay is not None:
            return _replay(parsed.replay, options)
        if not parsed.allow_grpc or parsed.frontend != "native":
            raise MigrationError("a shadow is of the native gRPC front end: --allow-grpc=true, --frontend=native")
        return serve.run(parsed, environment, Shadow(options))
    except MigrationError as error:
        print(f"npuserve shadow: error: {error}", file=sys.stderr)
        return 1


def _replay(case: Path, options: ShadowOptions) -> int:
    """Print how an answer of today differs from the kept ones; return 1 if it agrees with neither."""
    found = repeat(case, options)
    for name, difference in found.items():
        cosine = "" if difference.cosine is None else f", least cosine {difference.cosine:.6f}"
        said = f"disagrees ({difference.reason}): {difference.detail}" if difference.reason else "agrees"
        print(f"{name}: {said}{cosine}")
    return 0 if any(not difference.reason for difference in found.values()) else 1
