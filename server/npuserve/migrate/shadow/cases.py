"""The worst cases, kept as files from which each can be repeated."""

import contextlib
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from npuserve._proto import inference_pb2 as pb
from npuserve.migrate.shadow.answers import inputs_of
from npuserve.migrate.shadow.compare import Difference

FOLDER = "cases"
_NO_NAME = re.compile(r"[^A-Za-z0-9._-]")
_LONGEST_NAME = 60


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request with what both servers said, as messages; if a server refused, what it said is a text."""

    model: str
    request: bytes
    live: bytes
    reference: bytes

    @property
    def size_bytes(self) -> int:
        """Of the three messages."""
        return len(self.request) + len(self.live) + len(self.reference)


@dataclass(frozen=True, slots=True)
class Case:
    """A kept case. badness: greater is worse. number: of its folder's name, the oldest first."""

    number: int
    model: str
    reason: str
    detail: str
    cosine: float | None
    max_abs: float | None
    badness: tuple[float, float]
    size_bytes: int
    folder: Path

    def as_json(self) -> dict[str, Any]:
        """Return what the report tells of it."""
        return {
            "folder": f"{FOLDER}/{self.folder.name}",
            "model": self.model,
            "reason": self.reason,
            "detail": self.detail,
            "cosine": self.cosine,
            "max_abs_error": self.max_abs,
        }


class Cases:
    """Keeps so many of the worst cases, within so many bytes, every kind of disagreement among them.

    folder: where; what an earlier shadow left there is removed. Raises OSError if that is not possible.
    """

    def __init__(self, folder: Path, *, most: int, most_bytes: int) -> None:
        self._folder = folder / FOLDER
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        self._most = most
        self._most_bytes = most_bytes
        self._kept: list[Case] = []
        self._last = 0

    def offer(self, exchange: Exchange, found: Difference) -> None:
        """Keep a case if it is among the worst. Raises OSError if it cannot be written."""
        badness = _badness(found)
        # Each folder has three files besides, and a block is lost for each.
        size = 2 * exchange.size_bytes + 4096
        if badness == (0.0, 0.0) or size > self._most_bytes or not self._most:
            return
        case = Case(
            number=self._last + 1,
            model=exchange.model,
            reason=found.reason,
            detail=found.detail,
            cosine=found.cosine,
            max_abs=found.max_abs,
            badness=badness,
            size_bytes=size,
            folder=self._folder / _folder_name(self._last + 1, exchange.model, found.reason),
        )
        kept, evicted = self._settled([*self._kept, case])
        if case not in kept:
            return
        self._last += 1
        for old in evicted:
            shutil.rmtree(old.folder, ignore_errors=True)
        self._kept = kept
        try:
            _write(case, exchange)
        except OSError:
            self._kept.remove(case)
            shutil.rmtree(case.folder, ignore_errors=True)
            raise

    def worst(self) -> list[Case]:
        """Return what is kept, worst first."""
        return sorted(self._kept, key=lambda case: case.badness, reverse=True)

    def _settled(self, cases: list[Case]) -> tuple[list[Case], list[Case]]:
        """Return what stays and what goes: of the kind with the most cases, the one that is least bad."""
        kept, evicted = list(cases), []
        while len(kept) > self._most or sum(case.size_bytes for case in kept) > self._most_bytes:
            kinds: dict[tuple[str, str], list[Case]] = {}
            for case in kept:
                kinds.setdefault((case.model, case.reason), []).append(case)
            crowd = max(kinds.values(), key=lambda alike: (len(alike), -max(case.badness for case in alike)[0]))
            least = min(crowd, key=lambda case: (case.badness, -case.number))
            kept.remove(least)
            evicted.append(least)
        return kept, evicted


def _badness(found: Difference) -> tuple[float, float]:
    """Return how bad a case is: what cannot be measured first, then by cosine, then by error."""
    off = 1.0 - found.cosine if found.cosine is not None else 0.0
    if not found.reason:
        return (off if found.cosine is not None and found.cosine < 1.0 else 0.0), 0.0
    measured = found.reason in ("cosine", "error", "argmax")
    return (10.0 if measured else 20.0) + off, found.max_abs or 0.0


def _folder_name(number: int, model: str, reason: str) -> str:
    return f"{number:04d}_{_NO_NAME.sub('_', model)[:_LONGEST_NAME]}_{reason or 'agrees'}"


def _write(case: Case, exchange: Exchange) -> None:
    case.folder.mkdir()
    (case.folder / "request.bin").write_bytes(exchange.request)
    (case.folder / "live.bin").write_bytes(exchange.live)
    (case.folder / "reference.bin").write_bytes(exchange.reference)
    (case.folder / "case.json").write_text(json.dumps(case.as_json(), indent=1) + "\n")
    # A request that cannot be read is one of the reasons to keep it.
    with contextlib.suppress(ValueError):
        inputs = inputs_of(pb.ModelInferRequest.FromString(exchange.request))
        arrays = {name: _plain(tensor.values, tensor.datatype) for name, tensor in inputs.items()}
        if not any(array.dtype == object for array in arrays.values()):
            np.savez(case.folder / "inputs.npz", **arrays)


def _plain(values: Any, datatype: str) -> Any:
    return values.astype({"FP16": np.float16, "FP32": np.float32}.get(datatype, values.dtype))
