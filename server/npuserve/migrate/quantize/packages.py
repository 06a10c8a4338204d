"""Packages of the extra `convert`, imported when they are needed."""

import importlib
from typing import Any

from npuserve.migrate.errors import SetupError


def imported(package: str) -> Any:
    """Return a package. Raises SetupError if it is not installed."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise SetupError(
            f"quantization needs the package {error.name or package}, which is not installed: "
            "pip install 'npuserve[convert]'"
        ) from error
