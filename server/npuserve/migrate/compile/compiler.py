"""Which compiler there is, of which version, and whether its surroundings are right."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import npuserve
from npuserve.migrate.compile.installation import Installation, installed
from npuserve.migrate.compile.operators import shipped_table
from npuserve.migrate.errors import SetupError

_EMULATOR = Path(npuserve.__file__).resolve().parent / "_emulator" / "atc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiler:
    """program: what runs. shown: how a person would call it. version: of CANN, or of what the emulator computes with.

    installation: None for the emulator's. environment: the variables it runs with. notes: what looks odd about it.
    """

    program: Path
    shown: str
    version: str
    environment: Mapping[str, str]
    installation: Installation | None = None
    notes: tuple[str, ...] = ()

    @property
    def is_vendor(self) -> bool:
        """Whether what it writes runs on NPUs."""
        return self.installation is not None

    @property
    def name(self) -> str:
        """What it is, with the version."""
        return f"CANN {self.version}" if self.is_vendor else f"the emulator's, {self.version}"


def find_compiler(environment: Mapping[str, str], soc_version: str) -> Compiler:
    """Return the vendor's if CANN is there, else the emulator's. Raises SetupError, MigrationError."""
    found = installed(environment)
    if found is None:
        return _emulator(environment, soc_version)
    program = found.atc
    version = found.version or "of unknown version"
    notes = []
    if found.compiler_version and found.operator_version and found.compiler_version != found.operator_version:
        notes.append(
            f"CANN's compiler is of version {found.compiler_version}, its operators of {found.operator_version}: they "
            "should be alike"
        )
    if not environment.get("ASCEND_OPP_PATH"):
        notes.append(f"ASCEND_OPP_PATH is not set, so {found.home}/opp is given to atc: source CANN's set_env.sh")
    if not Path("/dev/davinci_manager").exists() and "devlib" not in environment.get("LD_LIBRARY_PATH", ""):
        notes.append("no driver is here: CANN's devlib folder must be in LD_LIBRARY_PATH for atc to start")
    return Compiler(
        program=program,
        shown=str(program),
        version=version,
        environment={"ASCEND_OPP_PATH": str(found.home / "opp"), **environment},
        installation=found,
        notes=tuple(notes),
    )


def _emulator(environment: Mapping[str, str], soc_version: str) -> Compiler:
    if not _EMULATOR.is_file():
        raise SetupError(
            f"there is no atc: ASCEND_HOME_PATH is not set, and the emulator's is not installed, {_EMULATOR}",
            "source the set_env.sh of CANN",
            "install npuserve with the emulator: pip install 'npuserve[emulator]'",
        )
    return Compiler(
        program=_EMULATOR,
        shown="npuserve atc",
        version=str(shipped_table()["emulator"]["version"]),
        # The emulator refuses models for another chip than its own.
        environment={**environment, "NPUSERVE_EMULATOR_SOC": soc_version},
    )
