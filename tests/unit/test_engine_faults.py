"""The engine on an emulator that fails: each request is answered once, and the instance goes on."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import engine_session
from support.engine_session import INTERNAL, UNAVAILABLE
from support.models import build_models

ROOT = Path(__file__).resolve().parent.parent.parent
MODELS = ROOT / "build" / "engine_models"


@pytest.fixture(scope="module")
def models() -> Path:
    build_models(MODELS)
    return MODELS


def run_in_own_process(models: Path, **environment: str) -> str:
    """Run the session as a program, on an emulator with settings of its own; return what it says."""
    search = os.pathsep.join([str(ROOT / "server"), str(ROOT / "tests")])
    result = subprocess.run(
        [sys.executable, engine_session.__file__, str(models)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env={**os.environ, "PYTHONPATH": search, **environment},
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_a_device_too_small_says_how_much_was_asked_for(models: Path) -> None:
    said = run_in_own_process(models, NPUSERVE_EMULATOR_MEMORY_BYTES="256")
    expected = (
        r"device_memory: needs 1 MiB on device 0 \(weights \d, work \d, buffers 1\), but 0 MiB of 0 MiB are free\n"
    )
    assert re.fullmatch(expected, said)


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ("aclmdlExecuteAsync:20:507011", INTERNAL),
        ("aclmdlExecuteAsync:20:507010", UNAVAILABLE),
        ("aclmdlExecuteAsync:20:507015:sync", INTERNAL),
        ("aclrtMemcpyAsync:20:507899", UNAVAILABLE),
        ("aclrtMemcpyAsync:20:507013:sync", INTERNAL),
        ("aclrtSynchronizeEvent:20:507015", INTERNAL),
    ],
)
def test_a_failing_device_is_told_to_each_request_once(models: Path, fault: str, status: int) -> None:
    # The warm-up makes at most 16 calls of each, the 270 rows at 8 a batch at least 34.
    said = run_in_own_process(models, NPUSERVE_EMULATOR_FAULTS=fault)
    assert f"status {status}" in said
    assert fault.split(":")[2] in said


@pytest.mark.parametrize(
    "call", ["aclmdlExecuteAsync", "aclrtMemcpyAsync", "aclrtRecordEvent", "aclrtSynchronizeEvent"]
)
def test_failing_the_nth_call_for_every_n_answers_each_request_once(models: Path, call: str) -> None:
    said = run_in_own_process(models, ENGINE_SESSION_SWEEP=call)
    found = re.fullmatch(r"(\d+) loads failed, (\d+) sessions had failures\n", said)
    assert found is not None
    # Loading warms up four gears; serving makes at least one call a batch.
    assert int(found[1]) >= 4
    assert int(found[2]) >= 3


LOAD = """
import sys
from npuserve import _engine
from support.emulator import LIBRARY
from support.engine_session import options

runtime = _engine.Runtime([[str(LIBRARY)]])
try:
    _engine.Model(runtime, sys.argv[1], options(), _engine.CompletionQueue())
except _engine.AclError as error:
    print(error.call, error.code, *runtime.failed_releases)
"""


def test_a_warm_up_that_fails_gives_everything_back(models: Path) -> None:
    search = os.pathsep.join([str(ROOT / "server"), str(ROOT / "tests")])
    faults = {"PYTHONPATH": search, "NPUSERVE_EMULATOR_FAULTS": "aclrtMemcpyAsync:2:507013"}
    command = [sys.executable, "-c", LOAD, str(models / "identity_b8.om")]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env={**os.environ, **faults})
    assert said.stdout.split() == ["aclrtMemcpyAsync", "507013", "0"]
