"""The machine as the checks see it: a file system, an environment, a process. Tests put together others."""

import grp
import os
import re
import resource
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

Libraries = Sequence[Sequence[str]]
_DEVICE = re.compile(r"davinci\d+")
_IN_CONTAINER = re.compile(r"docker|kubepods|containerd|libpod|lxc")


def _group_names() -> frozenset[str]:
    names = set()
    for number in {os.getegid(), *os.getgroups()}:
        try:
            names.add(grp.getgrgid(number).gr_name)
        except KeyError:
            names.add(str(number))
    return frozenset(names)


def _usable(path: Path) -> bool:
    return os.access(path, os.R_OK | os.W_OK)


def _shared_memory_bytes(path: Path) -> int:
    found = os.statvfs(path)
    return found.f_frsize * found.f_blocks


def _requirements() -> Sequence[str]:
    try:
        return requires("npuserve") or ()
    except PackageNotFoundError:
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where the checks look.

    root: of the file system. environment: its paths are below the root already. emulator: the folder that it is
    installed in. libraries: what the server would load, in its order; reason: why there is none. is_usable: whether
    this process may read and write a device. size_of: a file system's bytes.
    requirements: of npuserve, with its extras; none if it is no installed package. installed: a package's version;
    raises PackageNotFoundError.
    """

    root: Path
    environment: Mapping[str, str]
    emulator: Path
    libraries: Libraries
    reason: str = ""
    is_usable: Callable[[Path], bool] = _usable
    size_of: Callable[[Path], int] = _shared_memory_bytes
    groups: frozenset[str] = field(default_factory=_group_names)
    cores: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    open_files: int = field(default_factory=lambda: resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    requirements: Sequence[str] = field(default_factory=_requirements)
    installed: Callable[[str], str] = version

    def at(self, path: str) -> Path:
        """Return where an absolute path of the machine is."""
        return self.root / path.lstrip("/")

    def text(self, path: str) -> str:
        """Return a file's text; "" if it is not there."""
        try:
            return self.at(path).read_text(errors="replace")
        except OSError:
            return ""

    @property
    def devices(self) -> list[Path]:
        """The chips' device nodes."""
        found = (path for path in self.at("/dev").glob("davinci*") if _DEVICE.fullmatch(path.name))
        return sorted(found, key=lambda path: int(path.name.removeprefix("davinci")))

    @property
    def is_container(self) -> bool:
        """Whether this is within a container."""
        marked = self.at("/.dockerenv").exists() or self.at("/run/.containerenv").exists()
        return marked or _IN_CONTAINER.search(self.text("/proc/1/cgroup")) is not None

    @property
    def home(self) -> str:
        """CANN's folder as its set_env.sh tells it; "" if it was not sourced."""
        return self.environment.get("ASCEND_HOME_PATH", "")

    @property
    def has_own_library(self) -> bool:
        """Whether the server would load another library than the emulator's."""
        return any(Path(file).parent != self.emulator for files in self.libraries for file in files)

    @property
    def driver_home(self) -> str:
        """The folder of the driver, as its installation noted it."""
        noted = re.search(r"(?m)^Driver_Install_Path_Param=(.+)$", self.text("/etc/ascend_install.info"))
        return f"{noted[1].strip() if noted else '/usr/local/Ascend'}/driver"

    @property
    def has_driver(self) -> bool:
        """Whether the driver is installed or, in a container, any part of it is mounted."""
        return self.at(self.driver_home).is_dir()

    @property
    def wants_npu(self) -> bool:
        """Whether anything says that this machine is to serve on NPUs: then what it lacks for that is a problem."""
        return bool(self.devices) or self.has_driver or self.at("/dev/davinci_manager").exists()
