"""Runs the native test programs, one a room, on the emulator that is built into the package."""

import os
import subprocess
from pathlib import Path

import onnx
import pytest
from npuserve.execution.onnx_library import library_file
from support.emulator import LIBRARY
from support.models import add_mul, build_models

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("NPUSERVE_NATIVE_BUILD", ROOT / "build" / "editable"))
# A sanitizer's tree holds an emulator of its own.
BUILT_LIBRARY = BUILD / "package" / "_emulator" / LIBRARY.name
ROOMS = ("core", "batching", "simulation", "acl", "ort", "engine", "wire", "load", "emulator")


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    build_models(folder)
    onnx.save(add_mul(), str(folder / "add_mul.onnx"))
    return folder


@pytest.mark.parametrize("room", ROOMS)
def test_the_rooms_native_tests_pass(room: str, models: Path) -> None:
    program = BUILD / "tests" / f"test_{room}"
    assert program.exists(), f"{program} is not built: make native"
    onnxruntime = library_file()
    if room == "ort" and onnxruntime is None:
        pytest.skip("the installed onnxruntime carries no library for C programs")
    environment = os.environ | {
        "NPUSERVE_ACL_LIBRARY": str(BUILT_LIBRARY if BUILT_LIBRARY.exists() else LIBRARY),
        "NPUSERVE_TEST_MODELS": str(models),
        "NPUSERVE_ONNX_MODELS": str(models),
        # Under AddressSanitizer TBB must not bind its libraries' symbols to themselves, and the leak check does not
        # survive that OpenVINO unloads its plugins, as it does where many OMs are loaded and freed.
        "TBB_ENABLE_SANITIZERS": "1",
        "ASAN_OPTIONS": "detect_leaks=0" if room in ("acl", "engine") else "",
        "TSAN_OPTIONS": f"suppressions={Path(__file__).with_name('tsan.supp')}",
    }
    if onnxruntime is not None:
        environment["NPUSERVE_ONNXRUNTIME_LIBRARY"] = str(onnxruntime)
    done = subprocess.run([program], env=environment, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-8000:]
    assert "test cases: 0" not in done.stdout, "the program ran no test case"
