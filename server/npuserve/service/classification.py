"""The classification extension: the greatest values of an output, as text, in place of the tensor."""

from collections.abc import Sequence

import numpy as np

from npuserve.core.dtype import Dtype
from npuserve.core.elements import join_elements
from npuserve.core.errors import invalid
from npuserve.core.tensor import Tensor

_FEW = 32
_WITHOUT_ORDER = {Dtype.BOOL, Dtype.FP16, Dtype.BF16, Dtype.BYTES}


def greatest_classes(tensor: Tensor, class_count: int, labels: Sequence[str], *, has_batch: bool) -> Tensor:
    """Return the `class_count` greatest values of a tensor as strings `value:index` or `value:index:label`.

    The index counts the elements, flattened, of each row, or of the whole tensor if it has no batch dimension. Rows
    follow one another, each from the greatest value down; of equal values the lower index comes first. The result is
    BYTES of shape [rows, n] or [n], where n is `class_count` or all there are.
    Raises ServeError (INVALID_ARGUMENT) for data types that Triton does not classify.
    """
    if tensor.dtype in _WITHOUT_ORDER:
        raise invalid(f"class result not available for output due to unsupported type '{tensor.dtype.value}'")
    rows = tensor.shape[0] if has_batch else 1
    values = np.frombuffer(tensor.data, tensor.dtype.numpy)
    values = values.reshape(rows, values.size // rows if rows else 0)
    size = values.shape[1]
    count = min(class_count, size)
    form = "%f:%d" if tensor.dtype in (Dtype.FP32, Dtype.FP64) else "%d:%d"
    if size <= _FEW:
        elements = [
            _named(form % (row[index], index), index, labels)
            for row in values.tolist()
            for index in _greatest_of_few(row)[:count]
        ]
    else:
        elements = [
            _named(form % (row[index], index), index, labels)
            for row in values
            for index in _greatest(row, count).tolist()
        ]
    shape = (rows, count) if has_batch else (count,)
    return Tensor(tensor.name, Dtype.BYTES, shape, join_elements(elements))


def _greatest_of_few(row: list[float]) -> list[int]:
    """Return all indices in the order of `_descending`: an array's own methods cost more than a short list's."""
    if any([value != value for value in row]):
        order: list[int] = _descending(np.array(row)).tolist()
        return order
    return sorted(range(len(row)), key=row.__getitem__, reverse=True)


def _greatest(
    row: np.ndarray[tuple[int, ...], np.dtype[np.generic]], count: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.intp]]:
    """Return the indices of the `count` greatest values, in the order of `_descending`."""
    if count == 0 or count * 16 > row.size:
        return _descending(row)[:count]
    # Sorting a few of very many takes the longest by far, and whoever asks for them waits on the event loop.
    least = np.partition(row, row.size - count)[row.size - count]
    candidates = np.flatnonzero(row != row if least != least else ~(row < least))
    return candidates[_descending(row[candidates])[:count]]


def _descending(
    row: np.ndarray[tuple[int, ...], np.dtype[np.generic]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.intp]]:
    """Return the indices from the greatest value down, equal ones in their order; NaN counts as the greatest."""
    # Negating would overflow, so the stable sort is ascending over the row from its end.
    backwards = np.argsort(row[::-1], kind="stable")[::-1]
    return row.size - 1 - backwards


def _named(text: str, index: int, labels: Sequence[str]) -> bytes:
    label = labels[index] if index < len(labels) else ""
    return (f"{text}:{label}" if label else text).encode()
