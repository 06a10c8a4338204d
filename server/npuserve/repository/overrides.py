"""What a client gives with a load in place of what the repository holds: a config, files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from npuserve.core.errors import ServeError, invalid
from npuserve.core.status import StatusCode
from npuserve.repository.scan import MAX_VERSION

LoadParameter = bool | int | str | bytes
"""A parameter of a load or an unload, as the protocols carry it."""

_FILE = "file:"
_MAX_PATH_BYTES = 4096


@dataclass(frozen=True, slots=True)
class LoadOverride:
    """A config as the JSON of a ModelConfig, and files by their path in the model's folder."""

    config: str
    files: Mapping[PurePosixPath, bytes] = field(default_factory=dict)


def load_override(name: str, parameters: Mapping[str, LoadParameter]) -> LoadOverride | None:
    """Return what a load's parameters ask for; None without any.

    Raises ServeError: INVALID_ARGUMENT (an unknown parameter, a wrong type, a path out of the model's folder),
    INTERNAL (files without a config).
    """
    config: str | None = None
    files: dict[PurePosixPath, bytes] = {}
    for key, value in parameters.items():
        if key == "config":
            if not isinstance(value, str):
                raise invalid("invalid value type for load parameter 'config', expected string_param.")
            config = value
        elif key.startswith(_FILE):
            if not isinstance(value, bytes):
                raise invalid(f"invalid value type for load parameter '{key}', expected bytes_param.")
            files[_file_path(key)] = value
        else:
            raise invalid(f"unrecognized load parameter '{key}'.")
    if config is not None:
        return LoadOverride(config, files)
    if files:
        raise poll_failure(name)
    return None


def poll_failure(name: str) -> ServeError:
    """Return what a client hears of a model that could not be read; the reason is for the log."""
    return ServeError(StatusCode.INTERNAL, f"failed to load '{name}', failed to poll from model repository")


def unloads_dependents(parameters: Mapping[str, LoadParameter]) -> bool:
    """Read an unload's parameters; unknown ones are passed over. Raises ServeError: INVALID_ARGUMENT."""
    value = parameters.get("unload_dependents", False)
    if not isinstance(value, bool):
        raise invalid("invalid value type for 'unload_dependents' parameter, expected bool_param.")
    return value


def write_files(files: Mapping[PurePosixPath, bytes], folder: Path) -> None:
    """Write the files into a folder that is empty. Raises OSError."""
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def _file_path(key: str) -> PurePosixPath:
    """Return the path of `file:<version>/<path>`, which stays within the model's folder."""
    text = key.removeprefix(_FILE)
    parts = text.split("/")
    version = parts[0]
    if (
        len(parts) < 2
        or any(part in ("", ".", "..") for part in parts)
        or not (version.isascii() and version.isdigit() and not version.startswith("0"))
        or len(version) > len(str(MAX_VERSION))
        or "\0" in text
        or len(text.encode()) > _MAX_PATH_BYTES
    ):
        raise invalid(f"invalid load parameter '{key}', expected 'file:<version>/<path>' within the model's directory.")
    return PurePosixPath(text)


def check_model_name(name: str) -> None:
    """Raise ServeError (INVALID_ARGUMENT) unless a name can be a model's folder."""
    if not name:
        raise invalid("Model name cannot be empty. Please enter a valid name to deploy.")
    if "/" in name or "\\" in name or ".." in name or "\0" in name:
        raise invalid(f"invalid model name '{name}', model name must not contain path traversal characters")
