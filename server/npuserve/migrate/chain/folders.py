"""A stage's folder: filled under another name, so that what has the stage's own name is whole."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_KEPT_OF_FAILURES = ("*.log", "command.txt")


@contextmanager
def filled(final: Path) -> Iterator[Path]:
    """Lend an empty folder `NAME.partial`, which becomes `final` when the block ends well.

    If it raises, the folder goes, but for logs, which are then in `NAME.failed`.
    """
    partial, old = (final.with_name(final.name + end) for end in (".partial", ".old"))
    broken = failed_folder(final)
    for left in (partial, old, broken):
        shutil.rmtree(left, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        if final.exists():
            final.rename(old)
        partial.rename(final)
    except BaseException:
        _keep_logs(partial, broken)
        shutil.rmtree(partial, ignore_errors=True)
        raise
    shutil.rmtree(old, ignore_errors=True)


def failed_folder(final: Path) -> Path:
    """Return where the logs of a stage are that did not end."""
    return final.with_name(f"{final.name}.failed")


def _keep_logs(partial: Path, broken: Path) -> None:
    for pattern in _KEPT_OF_FAILURES:
        for log in partial.glob(pattern):
            # Renamed, not copied: the disk may be full.
            broken.mkdir(exist_ok=True)
            log.rename(broken / log.name)


def write_whole(path: Path, text: str) -> None:
    """Write a text file so that it is there as a whole, or as it was. Raises OSError."""
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
