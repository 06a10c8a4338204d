"""The calibration sample: rows whose values tell the range of every tensor."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from npuserve.migrate.chain.tensors import load_samples
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.export.dataset import spread

Array = npt.NDArray[Any]
Sample = Mapping[str, Array]

_AGAIN = "run the export again: npuserve migrate export --again"


def read_calibration(path: Path, most: int, inputs: Sequence[str]) -> list[dict[str, Array]]:
    """Return up to so many rows, evenly chosen, with the graph's inputs. Raises MigrationError."""
    try:
        samples = load_samples(path)
    except (OSError, ValueError, EOFError) as error:
        raise MigrationError(f"there is no calibration sample for int8: {path}: {error}", _AGAIN) from error
    if not samples:
        raise MigrationError(f"the calibration sample for int8 has no rows: {path}", _AGAIN)
    for number, sample in enumerate(samples):
        if missing := [name for name in inputs if name not in sample]:
            raise MigrationError(f"{path}: row {number} has no input '{missing[0]}' of the graph", _AGAIN)
    chosen = [{name: sample[name] for name in inputs} for sample in spread(samples, most)]
    for number, sample in enumerate(chosen):
        check_finite(sample, f"input '{{name}}' of row {number} of the calibration sample")
    return chosen


def check_finite(tensors: Mapping[str, Array], what: str) -> None:
    """Raise MigrationError for NaN or infinity. what: names the tensor, with `{name}`."""
    for name, array in tensors.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            kind = "NaN" if np.isnan(array).any() else "infinity"
            raise MigrationError(
                f"{what.format(name=name)} has {kind}: no range can be made of it",
                "take such rows out of source.inputs or source.dataset",
                "look in the comparison of a float precision for the layer that it comes from",
            )
