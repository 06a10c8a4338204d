"""How far two answers agree."""

from dataclasses import dataclass

import numpy as np

from npuserve.migrate.chain.tensors import Tensors
from npuserve.migrate.errors import MigrationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """cosine: the worst of all outputs and samples. same, of positions: whose largest value is at the same place."""

    cosine: float = 1.0
    max_abs: float = 0.0
    same: int = 0
    positions: int = 0

    @property
    def argmax(self) -> float:
        """The share of positions with the same class; 1 if there are none."""
        return self.same / self.positions if self.positions else 1.0

    def __add__(self, other: "Agreement") -> "Agreement":
        """Of both."""
        # min and max would pass over NaN, depending on the order.
        return Agreement(
            cosine=float(np.minimum(self.cosine, other.cosine)),
            max_abs=float(np.maximum(self.max_abs, other.max_abs)),
            same=self.same + other.same,
            positions=self.positions + other.positions,
        )


def agreement(got: Tensors, expected: Tensors) -> Agreement:
    """Compare the outputs that are expected. NaN and infinity agree with nothing. Raises MigrationError."""
    total = Agreement()
    for name, wanted in expected.items():
        if name not in got:
            raise MigrationError(f"the answer has no output '{name}', it has {', '.join(got) or 'none'}")
        total += _of(name, got[name], wanted)
    return total


def _of(name: str, got: np.ndarray, wanted: np.ndarray) -> Agreement:
    if got.shape != wanted.shape:
        raise MigrationError(f"output '{name}' has the shape {list(got.shape)}, expected {list(wanted.shape)}")
    if wanted.dtype.kind in "OSU":
        equal = [_text(a) == _text(b) for a, b in zip(got.ravel(), wanted.ravel(), strict=True)]
        return Agreement(cosine=float(all(equal)), max_abs=float(not all(equal)), same=sum(equal), positions=len(equal))
    a, b = got.astype(np.float64), wanted.astype(np.float64)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return Agreement(cosine=float("nan"), max_abs=float("nan"), positions=_positions(wanted))
    return Agreement(
        cosine=_cosine(a.ravel(), b.ravel()),
        max_abs=float(np.abs(a - b).max(initial=0.0)),
        same=int((a.argmax(-1) == b.argmax(-1)).sum()) if _positions(wanted) else 0,
        positions=_positions(wanted),
    )


def _positions(array: np.ndarray) -> int:
    """Return how many vectors of classes there are; one value alone is no choice among classes."""
    classes = array.shape[-1] if array.ndim > 1 else 0
    return array.size // classes if classes > 1 else 0


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    scale = float(np.linalg.norm(a) * np.linalg.norm(b))
    if scale == 0.0:
        return float(np.array_equal(a, b))
    return float(a @ b) / scale


def _text(element: object) -> bytes:
    return element if isinstance(element, bytes) else str(element).encode()
