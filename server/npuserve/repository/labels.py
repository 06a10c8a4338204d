"""Label files: the names of an output's classes, one a line."""

from collections.abc import Mapping
from pathlib import Path

from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.core.errors import ServeError, invalid
from npuserve.core.status import StatusCode

Labels = Mapping[str, tuple[str, ...]]
"""Of each output that has labels: the label of class i at place i, "" where there is none."""


def read_labels(folder: Path, config: ModelConfig) -> Labels:
    """Read the label files that a model's config names, relative to the model's folder. Blocks on the disk.

    Raises ServeError: INTERNAL if a file cannot be read, INVALID_ARGUMENT if it is not text.
    """
    return {output.name: _read(folder / output.label_filename) for output in config.output if output.label_filename}


def _read(path: Path) -> tuple[str, ...]:
    try:
        # Only line feeds end a label, as in Triton.
        return tuple(path.read_bytes().decode().removesuffix("\n").split("\n"))
    except OSError as error:
        raise ServeError(StatusCode.INTERNAL, f"failed to open text file for read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise invalid(f"label file {path} is not UTF-8 text") from error
