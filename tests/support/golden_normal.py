"""What of an answer is not compared, rule by rule; all else is."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

NUMPY = {
    **{"BOOL": "?", "UINT8": "u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "INT8": "i1", "INT16": "<i2"},
    **{"INT32": "<i4", "INT64": "<i8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8", "BF16": "<u2"},
}
# The timing fields of the statistics: durations differ from run to run. What remains is that a duration was counted.
DURATION = frozenset({"ns"})
TIMESTAMP = frozenset({"last_inference"})
# Both name the backend that copies: equal models but for its name.
BACKEND = frozenset({"backend", "platform"})


def normal_tensor(datatype: str, raw: bytes) -> Any:
    """A tensor's elements, by an independent reading; what cannot be read so, as hexadecimal digits."""
    if datatype == "BYTES":
        return _strings(raw)
    kind = np.dtype(NUMPY.get(datatype, "u1"))
    if len(raw) % kind.itemsize:
        return {"hex": raw.hex()}
    return np.frombuffer(raw, kind).tolist()


def _strings(raw: bytes) -> Any:
    found, at = [], 0
    while at < len(raw):
        length = int.from_bytes(raw[at : at + 4], "little")
        if at + 4 + length > len(raw):
            return {"hex": raw.hex()}
        found.append(raw[at + 4 : at + 4 + length].decode("latin-1"))
        at += 4 + length
    return found


def normal(value: Any, repository: Path, replaced: dict[str, str]) -> Any:
    """An answer with what may differ between two equal runs taken out.

    replaced: further texts that differ from run to run, and what stands for them.
    """
    texts = {str(repository): "<repository>", **replaced}
    return _walk(value, "", lambda text: _normal_text(text, texts))


def _walk(value: Any, key: str, text: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        if value.get("body") == {"text": ""}:
            # Nothing has no type.
            value = {**value, "headers": {}}
        if "count" in value and set(value) <= {"count", "ns"}:
            # A duration of zero is left out of the JSON of gRPC's messages.
            value = {**value, "ns": 0}
        return {text(name): _walk(inner, name, text) for name, inner in value.items()}
    if isinstance(value, list):
        return [_walk(inner, key, text) for inner in value]
    if key in DURATION:
        return "some time"
    if key in TIMESTAMP and value not in (0, "0"):
        return "some moment"
    if key in BACKEND and value == "identity":
        return "echo"
    return text(value) if isinstance(value, str) else value


def _normal_text(text: str, texts: dict[str, str]) -> str:
    for found, standing in texts.items():
        text = text.replace(found, standing)
    # Lists of input names come in the order of a hash table.
    return re.sub(r"\[('[^\]]*')\]", lambda match: "[" + ",".join(sorted(match[1].split(","))) + "]", text)
