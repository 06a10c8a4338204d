"""The demo's models, built by the example's own commands, and servers on them."""

import fcntl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "bert_small"
WORK = ROOT / "build" / "demo"

sys.path.insert(0, str(EXAMPLE))

REPOSITORIES = {"must_keep_origin_dtype": WORK / "repository", "force_fp16": WORK / "repository_fp16"}


@contextmanager
def building_alone() -> Iterator[None]:
    """Of several processes of the tests, one at a time builds what they share."""
    WORK.mkdir(parents=True, exist_ok=True)
    with (WORK / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def example_command() -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(script: str, *arguments: str, timeout_s: float = 240.0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(EXAMPLE / script), *arguments]
        with building_alone():
            return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout_s, check=False)

    return run


@pytest.fixture(scope="session")
def work() -> Path:
    """Where the demo keeps what it builds; the tests share it."""
    WORK.mkdir(parents=True, exist_ok=True)
    return WORK


@pytest.fixture(scope="session")
def encoder(work: Path) -> Path:
    """The folder of the encoder that the demo's models stand on."""
    from models import unpack_encoder

    with building_alone():
        return unpack_encoder(work)


@pytest.fixture(scope="module", params=list(REPOSITORIES))
def precision(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture(scope="module")
def server_url(precision: str, example_command: Callable[..., subprocess.CompletedProcess[str]]) -> Iterator[str]:
    from serving import Server

    repository = REPOSITORIES[precision]
    built = example_command(
        "convert.py", "--work", str(WORK), "--repository", str(repository), "--precision", precision
    )
    assert built.returncode == 0, built.stderr
    with Server([repository], WORK / f"server_{precision}.log") as server:
        server.wait_ready(models=2)
        yield server.url
        server.stop()
