"""A module by its import path, `package.module:function`."""

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from npuserve.migrate.errors import MigrationError
from npuserve.migrate.export.packages import imported
from npuserve.migrate.export.tracing import Traceable


def split_path(path: str) -> tuple[str, str]:
    """Return the module and the function that a path names. Raises MigrationError."""
    module, colon, function = path.partition(":")
    if not (module and colon and function):
        raise MigrationError(
            f"source.module is '{path}': it must be 'package.module:function', whose function returns a torch.nn.Module"
        )
    return module, function


def load_module(path: str, python_path: Sequence[Path]) -> Traceable:
    """Import the function, call it, and return its module in evaluation mode. Raises MigrationError."""
    name, function = split_path(path)
    sys.path[:0] = [str(each) for each in python_path]
    try:
        found = importlib.import_module(name)
    except Exception as error:  # whatever stands in the file
        raise MigrationError(
            f"source.module: '{name}' cannot be imported: {type(error).__name__}: {error}",
            "list the folder that holds it in source.python_path"
            if isinstance(error, ModuleNotFoundError)
            else f"mend it until `python -c 'import {name}'` works",
        ) from error
    torch = imported("torch")
    build = getattr(found, function, None)
    if build is None:
        raise MigrationError(f"source.module: '{name}' has no '{function}'")
    try:
        model = build if isinstance(build, torch.nn.Module) else build()
    except Exception as error:  # whatever the function does
        raise MigrationError(
            f"source.module: {path}() failed: {type(error).__name__}: {error}",
            "the function is called without arguments and returns the module",
        ) from error
    if not isinstance(model, torch.nn.Module):
        raise MigrationError(f"source.module: {path}() returned {type(model).__name__}, not a torch.nn.Module")
    return Traceable(model.eval(), maskable=False)
