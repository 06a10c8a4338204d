"""Libraries are tried in a process of their own: one that crashes or hangs is a finding."""

import os
import subprocess
from pathlib import Path

import pytest
from npuserve.migrate.doctor.probing import Probed, probe
from support.emulator import LIBRARY

COUNT = "int aclrtGetDeviceCount(unsigned* n) { *n = 1; return 0; }"
REST = """
int aclFinalize() { return 0; }
const char* aclrtGetSocName() { return "X"; }
int aclmdlLoadFromFile() { return 0; }
"""


def built(folder: Path, source: str) -> str:
    library = folder / "libascendcl.so"
    command = ["cc", "-shared", "-fPIC", "-w", "-x", "c", "-", "-o", str(library)]
    subprocess.run(command, input=f"#include <stdlib.h>\n#include <unistd.h>\n{source}", text=True, check=True)
    return str(library)


def test_the_emulator_starts() -> None:
    environment = {**os.environ, "NPUSERVE_EMULATOR_DEVICES": "3"}
    assert probe([str(LIBRARY)], environment) == Probed(True, True, "3 devices, Ascend910B3")


@pytest.mark.parametrize(
    ("init", "expected"),
    [
        ("{ abort(); }", Probed(True, False, "crashed: SIGABRT")),
        ("{ sleep(60); }", Probed(True, False, "did not answer within 3 s")),
        ("{ return 100039; }", Probed(True, False, "loads, but aclInit failed: 100039")),
        ("{ return 100002; }", Probed(True, True, "1 device, X")),
        ('{ puts("driver: hello"); return 0; }', Probed(True, True, "1 device, X")),
    ],
)
def test_what_starting_it_comes_to_is_told(tmp_path: Path, init: str, expected: Probed) -> None:
    library = built(tmp_path, f"int puts(const char*); int aclInit(const char* p) {init} {COUNT} {REST}")
    assert probe([library], os.environ, seconds=3) == expected


def test_a_library_without_a_function_is_none(tmp_path: Path) -> None:
    library = built(tmp_path, f"int aclInit() {{ return 0; }} {REST}")
    assert probe([library], os.environ) == Probed(False, False, "has no function aclrtGetDeviceCount")
