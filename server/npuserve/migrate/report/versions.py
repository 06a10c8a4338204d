"""What the figures were taken on: machine, packages, driver."""

import os
import platform
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from npuserve import __version__
from npuserve.migrate.report.words import Words

_PACKAGES = ("numpy", "torch", "transformers", "tokenizers", "onnx", "onnxscript", "onnxruntime", "openvino")

_CANN_FILES = ("version.info", "version.cfg", "compiler/version.info", "toolkit/version.info")
_DRIVER = Path("/usr/local/Ascend/driver/version.info")


def versions(soc_version: str, told: Mapping[str, str], words: Words) -> Sequence[tuple[str, str]]:
    """Return names and versions. told: by the stages; they know best."""
    found = {
        "npuserve": __version__,
        "python": platform.python_version(),
        words("operating system"): f"{_system()}, {platform.system()} {platform.release()}",
        words("processor"): words("{model}, {count} at hand", model=_processor(), count=len(os.sched_getaffinity(0))),
        words("memory"): f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.1f} GB",
        words("chip"): soc_version,
        "CANN": _cann() or words("not there: the emulator"),
        words("driver"): _version_in(_DRIVER) or words("not there: the emulator"),
        **{package: _package(package) or words("not installed") for package in _PACKAGES},
    }
    return [*{**found, **told}.items()]


def _package(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _cann() -> str:
    home = os.environ.get("ASCEND_HOME_PATH")
    if not home:
        return ""
    return next((text for name in _CANN_FILES if (text := _version_in(Path(home) / name))), home)


def _version_in(file: Path) -> str:
    """Return the version that one of CANN's files of `KEY=VALUE` names."""
    try:
        match = re.search(r"(?im)^\W*version\W*[=:]\W*([\w.-]+)", file.read_text(errors="replace"))
    except OSError:
        return ""
    return match[1] if match else ""


def _system() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        return platform.system()


def _processor() -> str:
    try:
        match = re.search(r"(?m)^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text())
    except OSError:
        match = None
    return match[1] if match else platform.machine()
