"""Golden samples as they lie beside a model: inputs with the answers that they should have."""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from npuserve.core.errors import ServeError, invalid

GOLDEN = "golden.npz"
Arrays = Mapping[str, npt.NDArray[Any]]
_INPUT, _OUTPUT = "input:", "output:"


@dataclass(frozen=True, slots=True)
class GoldenSample:
    """One request with its answer, by the names of tensors; shapes are those of the model's file, batch included."""

    number: int
    inputs: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    outputs: dict[str, npt.NDArray[Any]] = field(default_factory=dict)


def read_golden(path: Path) -> list[GoldenSample]:
    """Read an npz with a key a tensor, `NUMBER/input:NAME` or `NUMBER/output:NAME`. Blocks on the disk.

    Raises ServeError: INVALID_ARGUMENT for anything else.
    """
    samples: dict[int, GoldenSample] = {}
    try:
        with np.load(path, allow_pickle=False) as archive:
            for key in archive.files:
                _add(samples, key, archive[key])
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise invalid(f"cannot read '{path}': {error}") from error
    except ServeError as error:
        raise invalid(f"cannot read '{path}': {error.message}") from error
    if not samples:
        raise invalid(f"cannot read '{path}': there is no sample in it")
    for sample in samples.values():
        if not sample.inputs or not sample.outputs:
            missing = "input" if not sample.inputs else "output"
            raise invalid(f"cannot read '{path}': sample {sample.number} has no {missing}")
    return [samples[number] for number in sorted(samples)]


def _add(samples: dict[int, GoldenSample], key: str, array: npt.NDArray[Any]) -> None:
    number, _, name = key.partition("/")
    if not (number.isascii() and number.isdigit()) or not name.startswith((_INPUT, _OUTPUT)):
        raise invalid(f"key '{key}' is not as '0/input:NAME' or '0/output:NAME'")
    sample = samples.setdefault(int(number), GoldenSample(int(number)))
    if name.startswith(_INPUT):
        sample.inputs[name.removeprefix(_INPUT)] = array
    else:
        sample.outputs[name.removeprefix(_OUTPUT)] = array
