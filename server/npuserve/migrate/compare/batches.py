"""One batch, made from samples of any length."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from npuserve.migrate.chain.tensors import Tensors

Array = npt.NDArray[Any]


def joined(samples: Sequence[Tensors], rows: int, elements: int) -> dict[str, Array]:
    """Return one batch of samples, one after another, padded with 0 to the longest.

    rows: at most. elements: of the largest input, at most; the first sample may have more.
    Samples whose inputs cannot be joined (a scalar, other ranks) are left out; the first is always there.
    """
    batch = dict(samples[0])
    for count in range(2, len(samples) + 1):
        longer = _batch(samples[:count])
        if longer is None or len(next(iter(longer.values()))) > rows:
            break
        if max(array.size for array in longer.values()) > elements:
            break
        batch = longer
    return batch


def _batch(samples: Sequence[Tensors]) -> dict[str, Array] | None:
    names = samples[0]
    if any(sample[name].ndim != names[name].ndim or not sample[name].ndim for sample in samples for name in names):
        return None
    return {name: _stacked([sample[name] for sample in samples]) for name in names}


def _stacked(arrays: Sequence[Array]) -> Array:
    widest = [max(array.shape[axis] for array in arrays) for axis in range(1, arrays[0].ndim)]
    padded = [
        np.pad(array, [(0, 0), *((0, wide - own) for wide, own in zip(widest, array.shape[1:], strict=True))])
        for array in arrays
    ]
    return np.concatenate(padded)
