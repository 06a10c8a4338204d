"""File systems of machines with NPUs, and of containers on them, as far as `npuserve doctor` looks."""

import json
from importlib.metadata import PackageNotFoundError
from pathlib import Path

from npuserve.migrate.doctor.examine import examine
from npuserve.migrate.doctor.finding import Finding, Group
from npuserve.migrate.doctor.machine import Machine

HOME = "/usr/local/Ascend/cann"
DRIVER = "/usr/local/Ascend/driver"
NODES = ("davinci0", "davinci1", "davinci_manager", "devmm_svm", "hisi_hdc")


class Host:
    """A machine below a folder; whole, until a test takes a part away."""

    def __init__(self, root: Path, *, npu: bool = True, cann: bool = True, library: Path | None = None) -> None:
        self.root = root
        self.environment: dict[str, str] = {}
        self.refused: set[str] = set()
        self.groups = frozenset({"HwHiAiUser"})
        self.emulator = root / "emulator"
        self.installed = {"numpy": "2.1.0", "onnx": "1.18.0"}
        self.requirements = ["numpy<3,>=1.26", 'onnx<2,>=1.18; extra == "convert"', 'ruff==0.1; extra == "dev"']
        self.cores, self.open_files, self.shared_bytes = 8, 65536, 2**30
        self.write("/proc/meminfo", f"MemTotal: {64 * 2**20} kB\nMemAvailable: {32 * 2**20} kB\n")
        self.write("/proc/1/cgroup", "0::/init.scope\n")
        (root / "dev" / "shm").mkdir(parents=True)
        if npu:
            self.add_npu()
        if cann:
            self.add_cann(library)

    def add_npu(self) -> None:
        for node in NODES:
            self.write(f"/dev/{node}", "")
        self.write(f"{DRIVER}/version.info", "Version=25.2.0\nascendhal_version=7.35.23\n")
        self.write("/usr/local/Ascend/firmware/version.info", "Version=7.7.0.6.236\n")
        self.write("/etc/ascend_install.info", "Driver_Install_Path_Param=/usr/local/Ascend\n")
        self.write("/usr/local/bin/npu-smi", "")

    def add_cann(self, library: Path | None) -> None:
        self.environment["ASCEND_HOME_PATH"] = str(self.root / HOME.lstrip("/"))
        self.write(f"{HOME}/version.cfg", "toolkit_running_version=[8.5.0:8.5.0]\n")
        for part in ("compiler", "opp"):
            self.write(f"{HOME}/{part}/version.info", "Version=8.5.0\n")
        self.write(f"{HOME}/bin/atc", "#!/bin/sh\n").chmod(0o755)
        kernels = f"{HOME}/opp/built-in/op_impl/ai_core/tbe/config/ascend910b/aic-ascend910b-ops-info.json"
        self.write(kernels, json.dumps({"Add": {}}))
        if library is not None:
            place = self.at(f"{HOME}/lib64/libascendcl.so")
            place.parent.mkdir()
            place.symlink_to(library)

    def become_container(self) -> None:
        """Be started without any mount: the host's driver and nodes are not there."""
        self.write("/.dockerenv", "")

    def at(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def write(self, path: str, text: str) -> Path:
        place = self.at(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        return place

    @property
    def machine(self) -> Machine:
        home = self.environment.get("ASCEND_HOME_PATH")
        return Machine(
            root=self.root,
            environment=self.environment,
            emulator=self.emulator,
            libraries=((f"{home}/lib64/libascendcl.so",),) if home else (),
            is_usable=lambda path: path.name not in self.refused,
            size_of=lambda _: self.shared_bytes,
            groups=self.groups,
            cores=self.cores,
            open_files=self.open_files,
            requirements=self.requirements,
            installed=self._version,
        )

    def _version(self, package: str) -> str:
        if package not in self.installed:
            raise PackageNotFoundError(package)
        return self.installed[package]

    def examined(self) -> list[Group]:
        return examine(self.machine)

    def finding(self, title: str, name: str) -> Finding:
        """Run all checks and return one's answer."""
        (found,) = [
            finding
            for group in self.examined()
            if group.title == title
            for finding in group.findings
            if finding.name == name
        ]
        return found
