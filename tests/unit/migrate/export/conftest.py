"""The emulated chip in half precision."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import onnx
import pytest
from support.acl import Acl
from support.models import compile_model
from support.rewriting import Array


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes that tests start share their cores with others."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def acl() -> Iterator[Acl]:
    with Acl() as library:
        yield library


@pytest.fixture
def in_half(acl: Acl, tmp_path: Path) -> Callable[[onnx.ModelProto, Mapping[str, Array]], Array]:
    """Compiles for half precision at the shapes of the inputs, and returns the first output."""

    def compile_and_run(model: onnx.ModelProto, feeds: Mapping[str, Array]) -> Array:
        shapes = ";".join(f"{name}:{','.join(map(str, value.shape))}" for name, value in feeds.items())
        om = compile_model(model, tmp_path / "model", f"--input_shape={shapes}", "--precision_mode=force_fp16")
        loaded = acl.load(om)
        try:
            return loaded.run(list(feeds.values()))[0]
        finally:
            loaded.unload()

    return compile_and_run
