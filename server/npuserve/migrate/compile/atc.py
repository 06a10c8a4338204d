"""Runs `atc`, with its whole output in a file while it comes."""

import shlex
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from npuserve.migrate.compile.atc_options import AtcOptions
from npuserve.migrate.compile.compiler import Compiler
from npuserve.migrate.compile.error_codes import Explained, explain
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
    flags = options.flags()
    shown = shlex.join([*compiler.shown.split(" "), *flags])
    if shown_folder is not None:
        shown = shown.replace(str(folder), str(shown_folder))
    (folder / COMMAND).write_text(shown + "\n")
    started = time.monotonic()
    try:
        exit_code = _run([str(compiler.program), *flags], compiler, folder / LOG)
        om = _result(options.output) if exit_code == 0 else None
        text = (folder / LOG).read_text(errors="replace")
        if om is not None and _SUCCESS not in text:
            om = None
    except BaseException:
        _remove(options.output)
        raise
    if om is None:
        free = shutil.disk_usage(folder).free
        _remove(options.output)
        _check_room(text, free, folder)
    own = compiler.installation.error_texts() if compiler.installation and om is None else {}
    errors = () if om is not None else tuple(explain(text, own))
    return Compiled(exit_code=exit_code, seconds=time.monotonic() - started, command=shown, om=om, errors=errors)


def _run(command: list[str], compiler: Compiler, log: Path) -> int:
    """Return the exit code. The output goes to the file by itself, so that it is whole whatever ends this process."""
    with log.open("wb") as output:
        try:
            # The vendor's writes fusion_result.json and kernel files where it runs.
            process = subprocess.Popen(
                command,
                cwd=log.parent,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(compiler.environment),
            )
        except OSError as error:
            raise SetupError(
                f"atc cannot be started: {command[0]}: {error.strerror or error}",
                "check the file with `file` and `ldd`: it must be for this machine's processor",
            ) from error
        try:
            return process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise


def _result(output: Path) -> Path | None:
    """Return the OM under its name: code for the host's processor makes the vendor's add the system to it."""
    if output.is_file():
        return output
    named = sorted(output.parent.glob(f"{output.stem}_*.om"))
    if len(named) != 1:
        return None
    return named[0].replace(output)


def _remove(output: Path) -> None:
    for path in (output, *output.parent.glob(f"{output.stem}_*.om")):
        path.unlink(missing_ok=True)


def _check_room(text: str, free: int, folder: Path) -> None:
    """Tell a full disk from other failures. Raises SetupError."""
    if free < _NO_ROOM_BYTES or any(words in text for words in _FULL):
        raise SetupError(
            f"the disk is full: atc could not write the OM into {folder}, {free >> 10} KB were free",
            "make room, and run the migration again: it goes on here",
            "work in another folder, by --work",
        )
