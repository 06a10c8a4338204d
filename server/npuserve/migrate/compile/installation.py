"""A CANN installation: where its parts are, of which versions, and which operators they know."""

import json
import mmap
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from npuserve.migrate.compile.soc import operator_folder
from npuserve.migrate.errors import SetupError

# How ONNX parsers are registered within a plug-in: domain, opset and operator in one text.
_REGISTERED = re.compile(rb"([a-z][a-z.]*)::(\d{1,2})::([A-Za-z]\w*)")
_VERSION_FILES = ("version.cfg", "version.info", "compiler/version.info", "opp/version.info")
_RUNNING = re.compile(r"^(?:toolkit|compiler)_running_version=\[[^:\]]*:([^\]]+)\]", re.MULTILINE)
_VERSION_DIR = re.compile(r"^version_dir=(.+)$", re.MULTILINE)
_PLAIN = re.compile(r"^[Vv]ersion=(.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownOperators:
    """What CANN has. parsers: opsets by (domain, operator), empty if no plug-in was found. kernels: Ascend's types."""

    parsers: Mapping[tuple[str, str], frozenset[int]]
    kernels: frozenset[str]
    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Installation:
    """CANN as `ASCEND_HOME_PATH` names it."""

    home: Path

    @property
    def version(self) -> str:
        """Its version, as 8.1.RC1; "" if no file tells it."""
        return self._version_of(_VERSION_FILES)

    @property
    def compiler_version(self) -> str:
        """That of the compiler's package; "" if it is not told."""
        return self._version_of(("compiler/version.info",))

    @property
    def operator_version(self) -> str:
        """That of the operator package; "" if it is not told."""
        return self._version_of(("opp/version.info",))

    @property
    def atc(self) -> Path:
        """Its compiler. Raises SetupError if there is none, or it may not be run."""
        tried = [self.home / "bin" / "atc", self.home / "compiler" / "bin" / "atc"]
        for program in tried:
            if program.is_file():
                if not os.access(program, os.X_OK):
                    raise SetupError(
                        f"{program} may not be run by this user",
                        "ask for membership in the group that owns CANN, or install CANN for this user",
                    )
                return program
        raise SetupError(
            f"ASCEND_HOME_PATH is {self.home}, and there is no atc: looked for {' and '.join(map(str, tried))}",
            "install CANN's toolkit package, which has the compiler, and source its set_env.sh",
            "unset ASCEND_HOME_PATH to compile for the emulator that comes with npuserve",
        )

    @property
    def chips(self) -> tuple[str, ...]:
        """The chips that it has operators for, as it names them."""
        return tuple(sorted({path.parent.name for path in self._kernel_files("*")}))

    def operators(self, soc_version: str) -> KnownOperators:
        """Return what is known for a chip.

        Raises SetupError if its operators are not installed, MigrationError for a name that is no chip's.
        """
        chip = operator_folder(soc_version)
        files = list(self._kernel_files(chip))
        if not files:
            there = f"those of {', '.join(self.chips)} are" if self.chips else "no chip's are"
            raise SetupError(
                f"the operators of {soc_version} are not installed: {self.home}/opp has none for {chip}, {there} there",
                f"install CANN's operator package for {chip}, of the version that the toolkit has",
                "set soc_version under [compile] to the chip that serves",
            )
        files += self._processor_files()
        kernels = frozenset(name for path in files for name in _kernel_names(path))
        plugins = sorted(self.home.glob("opp/**/framework/onnx/*.so"))
        return KnownOperators(parsers=_parsers(plugins), kernels=kernels, files=(*files, *plugins))

    def error_texts(self) -> Mapping[str, str]:
        """Return its own words for error codes, empty if it has none."""
        texts: dict[str, str] = {}
        for path in sorted(self.home.glob("**/conf/error_manager/error_code.json"))[:1]:
            try:
                listed = json.loads(path.read_text(errors="replace"))["error_info_list"]
                texts.update({each["ErrCode"]: _own_words(each) for each in listed})
            except (OSError, ValueError, KeyError, TypeError):
                continue
        return texts

    def _version_of(self, names: tuple[str, ...]) -> str:
        for name in names:
            try:
                text = (self.home / name).read_text(errors="replace")
            except OSError:
                continue
            for pattern in (_RUNNING, _VERSION_DIR, _PLAIN):
                if found := pattern.search(text):
                    return found[1].strip().strip('"')
        return ""

    def _kernel_files(self, chip: str) -> Iterator[Path]:
        """Find the operator information of a chip: one file, or one a package; custom operators beside it."""
        for place in ("built-in", "vendors/*"):
            yield from sorted(self.home.glob(f"opp/{place}/op_impl/ai_core/tbe/config/{chip}/aic-*ops-info*.json"))

    def _processor_files(self) -> list[Path]:
        """Find what the device's CPUs compute."""
        return sorted(self.home.glob("opp/built-in/op_impl/aicpu/**/config/*kernel.json"))


def installed(environment: Mapping[str, str]) -> Installation | None:
    """Return the installation of an environment, None if there is none. Raises SetupError if it is not there."""
    home = environment.get("ASCEND_HOME_PATH") or environment.get("ASCEND_TOOLKIT_HOME")
    if not home:
        return None
    if not Path(home).is_dir():
        raise SetupError(
            f"ASCEND_HOME_PATH is {home}, which is no folder",
            "source the set_env.sh of the CANN that is installed, or unset ASCEND_HOME_PATH to use the emulator",
        )
    return Installation(Path(home))


def _kernel_names(path: Path) -> list[str]:
    """Return the operators of one file of operator information. Raises SetupError."""
    try:
        listed = json.loads(path.read_text())
    except OSError as error:
        raise SetupError(f"cannot read CANN's operator information, {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise SetupError(f"CANN's operator information is damaged, {path}: {error}") from error
    if not isinstance(listed, dict):
        raise SetupError(f"CANN's operator information is damaged, {path}: it must be one object")
    return [name for name, entry in listed.items() if isinstance(entry, dict)]


def _parsers(plugins: list[Path]) -> Mapping[tuple[str, str], frozenset[int]]:
    """Return the ONNX operators whose parsers libraries register, read from their texts."""
    found: dict[tuple[str, str], set[int]] = {}
    for path in plugins:
        if path.stat().st_size == 0:
            continue
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            for match in _REGISTERED.finditer(content):
                domain, opset, name = (part.decode() for part in match.groups())
                found.setdefault(("" if domain == "ai.onnx" else domain, name), set()).add(int(opset))
    return {key: frozenset(opsets) for key, opsets in found.items()}


def _own_words(entry: Mapping[str, object]) -> str:
    suggestion = entry.get("suggestion")
    parts = suggestion.values() if isinstance(suggestion, dict) else ()
    return " ".join(str(part) for part in (entry.get("errTitle", ""), *parts) if part and part != "N/A")
