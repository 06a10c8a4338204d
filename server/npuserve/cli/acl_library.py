"""Finds the AscendCL library: one that is named, the vendor's, or the embedded emulator."""

from collections.abc import Mapping
from pathlib import Path

PACKAGE_DIR = Path(__file__).resolve().parent.parent
EMULATOR_DIR = PACKAGE_DIR / "_emulator"
DEVICES = ("auto", "npu", "emulator")

# One library carries everything; since CANN 8.5 it is for compatibility only, beside the two that it was split into.
_VENDOR_FILES = (("libascendcl.so",), ("libacl_rt.so", "libacl_mdl.so"))

Candidates = tuple[tuple[str, ...], ...]


class LibraryNotFoundError(Exception):
    """No AscendCL library can be where it should be; the message is for the operator."""


def acl_candidates(explicit: str | None, device: str, environment: Mapping[str, str]) -> Candidates:
    """Return the AscendCL libraries to try, in order, each as the files that together are one.

    explicit: a file, files separated by commas, or a folder; else NPUSERVE_ACL_LIBRARY names one. Then `device`
    decides: `npu` is the vendor's under ASCEND_HOME_PATH, `emulator` the embedded one, `auto` the vendor's if
    ASCEND_HOME_PATH is set. A server that was told of an NPU never falls back to the emulator.
    Raises LibraryNotFoundError.
    """
    named = explicit or environment.get("NPUSERVE_ACL_LIBRARY")
    if named:
        return _in_folder(Path(named)) if Path(named).is_dir() else (tuple(named.split(",")),)
    home = environment.get("ASCEND_HOME_PATH")
    if device == "npu" and not home:
        raise LibraryNotFoundError(
            "--device=npu needs the environment variable ASCEND_HOME_PATH (source the set_env.sh of CANN)"
        )
    if home and device != "emulator":
        return _in_folder(Path(home) / "lib64")
    emulator = EMULATOR_DIR / "libascendcl.so"
    if not emulator.is_file():
        raise LibraryNotFoundError(
            f"ASCEND_HOME_PATH is not set and the embedded emulator is not installed (no '{emulator}')"
        )
    return ((str(emulator),),)


def atc_program(environment: Mapping[str, str]) -> Path:
    """Return the compiler: the vendor's under ASCEND_HOME_PATH, else the emulator's. Raises LibraryNotFoundError."""
    programs = [EMULATOR_DIR / "atc"]
    if home := environment.get("ASCEND_HOME_PATH"):
        programs = [Path(home) / "bin" / "atc", Path(home) / "compiler" / "bin" / "atc", *programs]
    for program in programs:
        if program.is_file():
            return program
    raise LibraryNotFoundError(f"no atc found, looked for {', '.join(str(program) for program in programs)}")


def _in_folder(folder: Path) -> Candidates:
    return tuple(tuple(str(folder / name) for name in names) for names in _VENDOR_FILES)
