"""Tensors as clients see them: a config may reshape what the model takes and gives."""

from collections.abc import Sequence

import numpy as np


def fitted(array: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Return the array in a shape of another rank, -1 any size, as `reshape` of a config does; else as it is.

    Elements stay in their order; a batch axis stays the first.
    """
    if array.ndim == len(shape):
        return array
    wanted = list(shape)
    if wanted and wanted[0] == -1 and array.ndim:
        wanted[0] = array.shape[0]
    return array.reshape(wanted)
