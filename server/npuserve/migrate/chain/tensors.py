"""How samples and answers are kept: one npz, a key a tensor of a sample, `NUMBER/NAME`, as lengths differ."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Tensors = Mapping[str, npt.NDArray[Any]]
"""The tensors of one sample, by name, with the batch axis."""


def save_samples(path: Path, samples: Sequence[Tensors]) -> None:
    """Write samples; the file's order is theirs."""
    arrays: dict[str, Any] = {
        f"{number}/{name}": array for number, each in enumerate(samples) for name, array in each.items()
    }
    np.savez(path, **arrays)


def load_samples(path: Path) -> list[dict[str, npt.NDArray[Any]]]:
    """Read what `save_samples` wrote."""
    samples: dict[int, dict[str, npt.NDArray[Any]]] = {}
    with np.load(path) as archive:
        for key in archive.files:
            number, _, name = key.partition("/")
            samples.setdefault(int(number), {})[name] = archive[key]
    return [samples[number] for number in sorted(samples)]
