"""One batch, made from samples of any length."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from npuserve.migrate.chain.tensors import Tensors

Array = npt.NDArray[Any]


def joined(samples: Sequence[Tensors], rows: int) -> dict[str, Array]:
    """Return one batch of up to `rows` rows: samples one after another, padded with 0 to the longest.

    Samples whose inputs cannot be joined (a scalar, other ranks) are left out; the first is always there.
    """
    taken: list[Tensors] = []
    for sample in samples:
        fits = all(array.ndim and array.ndim == samples[0][name].ndim for name, array in sample.items())
        if taken and (not fits or _rows([*taken, sample]) > rows):
            break
        taken.append(sample)
    if len(taken) == 1:
        return dict(taken[0])
    return {name: _stacked([sample[name] for sample in taken]) for name in taken[0]}


def _rows(samples: Sequence[Tensors]) -> int:
    return sum(next(iter(sample.values())).shape[0] for sample in samples)


def _stacked(arrays: Sequence[Array]) -> Array:
    widest = [max(array.shape[axis] for array in arrays) for axis in range(1, arrays[0].ndim)]
    padded = [
        np.pad(array, [(0, 0), *((0, wide - own) for wide, own in zip(widest, array.shape[1:], strict=True))])
        for array in arrays
    ]
    return np.concatenate(padded)
