"""Runs `atc`, with its whole output in a file while it comes."""

import shlex
import shutil
import signal
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from npuserve.migrate.compile.atc_options import AtcOptions
from npuserve.migrate.compile.compiler import Compiler
from npuserve.migrate.compile.error_codes import Explained, explain
from npuserve.migrate.compile.vendor_process import run_logged
from npuserve.migrate.errors import SetupError

LOG = "atc.log"
COMMAND = "command.txt"
_SUCCESS = "ATC run success"
# Not every compiler tells why it could not write.
_NO_ROOM_BYTES = 1 << 20
_FULL = ("No space left on device", "Disk quota exceeded")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """What a run came to. om: None if it failed. errors: what the compiler said, explained."""

    exit_code: int
    seconds: float
    command: str
    om: Path | None
    errors: tuple[Explained, ...] = ()

    @property
    def reason(self) -> str:
        """The first error in a sentence, "" if it went well."""
        if self.om is not None:
            return ""
        if self.errors:
            return str(self.errors[0])
        if self.exit_code < 0:
            name = signal.Signals(-self.exit_code).name
            return f"it was ended by {name}" + (
                ", as the system does when memory runs out" if name == "SIGKILL" else ""
            )
        return f"it ended with code {self.exit_code}, and told no reason"


def run_atc(compiler: Compiler, options: AtcOptions, folder: Path, shown_folder: Path | None = None) -> Compiled:
    """Compile; the command and the output are kept in the folder. A failed run leaves no OM.

    folder: absolute. shown_folder: where the command that is kept writes to, if the folder will have another name.
    Blocks. Raises SetupError if the compiler cannot be started, OSError if the folder cannot be written.
    """
    # A compiler that outlives a killed run must not find the place where the next run's writes.
    place = Path(tempfile.mkdtemp(prefix="atc.", dir=folder))
    flags = replace(options, output=place / options.output.name).flags()
    shown = shlex.join([*compiler.shown.split(" "), *flags]).replace(str(place), str(folder))
    if shown_folder is not None:
        shown = shown.replace(str(folder), str(shown_folder))
    (folder / COMMAND).write_text(shown + "\n")
    started = time.monotonic()
    try:
        exit_code = _run([str(compiler.program), *flags], compiler, place, folder / LOG)
        text = (folder / LOG).read_text(errors="replace")
        made = _result(place, options.output) if exit_code == 0 and _SUCCESS in text else None
        if made is None:
            _check_room(text, folder)
        else:
            made.replace(options.output)
            _keep_told(place, folder)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    seconds = time.monotonic() - started
    if made is not None:
        return Compiled(exit_code=exit_code, seconds=seconds, command=shown, om=options.output)
    own = compiler.installation.error_texts() if compiler.installation else {}
    return Compiled(exit_code=exit_code, seconds=seconds, command=shown, om=None, errors=tuple(explain(text, own)))


def _run(command: list[str], compiler: Compiler, place: Path, log: Path) -> int:
    with log.open("wb") as output:
        try:
            return run_logged(command, compiler.environment, place, output)
        except OSError as error:
            raise SetupError(
                f"atc cannot be started: {command[0]}: {error.strerror or error}",
                "check the file with `file` and `ldd`: it must be for this machine's processor",
            ) from error


def _result(place: Path, output: Path) -> Path | None:
    """Return the OM: code for the host's processor makes the vendor's add the system to its name."""
    made = place / output.name
    if made.is_file():
        return made
    named = sorted(place.glob(f"{output.stem}_*.om"))
    return named[0] if len(named) == 1 else None


def _keep_told(place: Path, folder: Path) -> None:
    """Keep what the compiler writes where it runs, as fusion_result.json."""
    for path in place.glob("*.json"):
        path.replace(folder / path.name)


def _check_room(text: str, folder: Path) -> None:
    """Tell a full disk from other failures. Raises SetupError."""
    free = shutil.disk_usage(folder).free
    if free < _NO_ROOM_BYTES or any(words in text for words in _FULL):
        raise SetupError(
            f"the disk is full: atc could not write the OM into {folder}, {free >> 10} KB were free",
            "make room, and run the migration again: it goes on here",
            "work in another folder, by --work",
        )
