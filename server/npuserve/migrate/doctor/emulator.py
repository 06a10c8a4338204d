"""The emulator that comes with the package."""

from npuserve.migrate.doctor.finding import Finding, Group, not_here, ok, problem
from npuserve.migrate.doctor.machine import Machine
from npuserve.migrate.doctor.probing import probe

_INSTALL = "pip install 'npuserve[emulator]'"


def emulator_group(machine: Machine) -> Group:
    """Check that models can be compiled and served without an NPU."""
    return Group("Emulator", (_library(machine), _compiler(machine)))


def _library(machine: Machine) -> Finding:
    library = machine.emulator / "libascendcl.so"
    if not library.is_file():
        return _missing(machine, "library", str(library))
    result = probe([str(library)], machine.environment)
    if result.is_started:
        return ok("library", f"{library}: {result.text}")
    return problem("library", f"{library}: {result.text}", f"{_INSTALL} brings the OpenVINO that it was built with")


def _compiler(machine: Machine) -> Finding:
    program = machine.emulator / "atc"
    return ok("atc", str(program)) if program.is_file() else _missing(machine, "atc", str(program))


def _missing(machine: Machine, name: str, path: str) -> Finding:
    """Return the finding: nobody needs the emulator where there is an NPU."""
    if machine.wants_npu or machine.home:
        return not_here(name, f"there is no {path}", "is not needed beside CANN")
    remedy = "build npuserve with its emulator: `pip install .` in a checkout does unless it is told not to"
    return problem(name, f"there is no {path}, and no NPU either", remedy)
