"""Remembers what was built from what, so that a second run does nothing that the first has done."""

import hashlib
from pathlib import Path


def fingerprint(*parts: Path | str) -> str:
    """Return a digest over texts, and over the content of files."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.read_bytes() if isinstance(part, Path) else part.encode()
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()


def is_current(target: Path, key: str) -> bool:
    """Return whether `target` exists and was built from what `key` stands for."""
    stamp = _stamp(target)
    return target.exists() and stamp.exists() and stamp.read_text() == key


def mark_current(target: Path, key: str) -> None:
    """Note that `target` was built from what `key` stands for."""
    _stamp(target).write_text(key)


def _stamp(target: Path) -> Path:
    return target.with_name(target.name + ".stamp")
