"""CANN: its folder, its versions, the compiler, and the library that the server loads."""

import re
from pathlib import Path

from npuserve.migrate.compile.installation import Installation
from npuserve.migrate.doctor.finding import Finding, Group, not_here, ok, problem
from npuserve.migrate.doctor.machine import Machine
from npuserve.migrate.doctor.probing import probe
from npuserve.migrate.errors import SetupError

_OLDEST = (7, 0)
_USUAL = ("/usr/local/Ascend/cann", "/usr/local/Ascend/ascend-toolkit/latest", "/usr/local/Ascend/nnrt/latest")
_RELEASE = re.compile(r"(\d+)\.(\d+)")


def cann_group(machine: Machine) -> Group:
    """Check CANN, which drives the NPU and compiles for it."""
    if not machine.home:
        named = (_library(machine),) if machine.has_own_library else ()
        return Group("CANN", (_unset(machine), *named))
    if not Path(machine.home).is_dir():
        missing = problem(
            "ASCEND_HOME_PATH", f"{machine.home} is no folder", "source the set_env.sh of the CANN that is installed"
        )
        return Group("CANN", (missing,))
    installation = Installation(Path(machine.home))
    return Group(
        "CANN",
        (
            ok("ASCEND_HOME_PATH", machine.home),
            _version(installation),
            *_parts(installation),
            _library(machine),
            _compiler(machine, installation),
        ),
    )


def _unset(machine: Machine) -> Finding:
    there = next((path for path in _USUAL if machine.at(path).is_dir()), "")
    if there:
        script = f"{there}/set_env.sh" if there.endswith("cann") else f"{there.rpartition('/')[0]}/set_env.sh"
        return problem("ASCEND_HOME_PATH", f"is not set, and CANN is in {there}", f"source {script}")
    if machine.wants_npu:
        return problem(
            "ASCEND_HOME_PATH",
            "is not set, and the driver is installed",
            "install CANN's toolkit and the operators for the chip, then source its set_env.sh",
        )
    return not_here("CANN", "ASCEND_HOME_PATH is not set", "the emulator serves and compiles here")


def _version(installation: Installation) -> Finding:
    version = installation.version
    if not version:
        return problem(
            "version",
            f"no version.cfg or version.info in {installation.home} tells it",
            "ASCEND_HOME_PATH must be CANN's own folder, as /usr/local/Ascend/cann: source its set_env.sh",
        )
    release = _RELEASE.search(version)
    if release and (int(release[1]), int(release[2])) < _OLDEST:
        oldest = ".".join(map(str, _OLDEST))
        return problem("version", f"{version} is too old", f"install CANN {oldest} or later, and a driver to match")
    return ok("version", version)


def _parts(installation: Installation) -> list[Finding]:
    """Check that compiler and operators are of one release."""
    parts = {"compiler": installation.compiler_version, "operators": installation.operator_version}
    told = {name: version for name, version in parts.items() if version}
    if len(set(told.values())) > 1:
        listed = ", ".join(f"{name} {version}" for name, version in told.items())
        return [problem("parts", f"are of different releases: {listed}", "install all of one release of CANN")]
    return []


def _library(machine: Machine) -> Finding:
    if not machine.libraries:
        return problem("libascendcl.so", machine.reason, "source CANN's set_env.sh, or name it by --acl-library")
    there = [files for files in machine.libraries if all("/" not in file or Path(file).is_file() for file in files)]
    if not there:
        looked = ", ".join(" with ".join(files) for files in machine.libraries)
        remedy = "install CANN's runtime (toolkit or nnrt), or source the set_env.sh of the one that has it"
        return problem("libascendcl.so", f"looked for {looked}", remedy)
    result = probe(there[0], machine.environment)
    name = ", ".join(there[0])
    if result.is_started:
        return ok("libascendcl.so", f"{name}: {result.text}")
    if machine.wants_npu or not result.is_loaded:
        return problem("libascendcl.so", f"{name}: {result.text}", _remedy(machine, is_loaded=result.is_loaded))
    return not_here("libascendcl.so", f"{name}: {result.text}", "it can compile here, and serve where there is an NPU")


def _remedy(machine: Machine, *, is_loaded: bool) -> str:
    if is_loaded:
        return "see `npu-smi info` and the newest log in ~/ascend/log/debug/plog; driver and CANN must fit each other"
    return f"have {machine.driver_home}/lib64, lib64/common and lib64/driver in LD_LIBRARY_PATH, as set_env.sh does"


def _compiler(machine: Machine, installation: Installation) -> Finding:
    try:
        program, chips = installation.atc, installation.chips
    except SetupError as error:
        found = problem if _has_compiler(installation) else not_here
        return found("atc", str(error), error.advice[0] if error.advice else "")
    if not chips:
        return problem(
            "atc",
            f"{program}, but no chip's operators are in {installation.home}/opp",
            "install CANN's operator package for the chip (from 8.5 on it is one of its own)",
        )
    return ok("atc", f"{program}, for {', '.join(chips)}")


def _has_compiler(installation: Installation) -> bool:
    """Say whether a compiler is there that cannot be run; machines that only serve need none."""
    return any((installation.home / path).is_file() for path in ("bin/atc", "compiler/bin/atc"))
