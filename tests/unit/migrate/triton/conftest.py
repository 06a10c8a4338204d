from collections.abc import Callable
from pathlib import Path

import pytest

Model = Callable[..., Path]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "old"
    path.mkdir()
    return path


@pytest.fixture
def model(repository: Path) -> Model:
    """Writes a model's folder: its config, and a file in each version."""

    def write(name: str, config: str, *versions: int, file: str = "model.onnx") -> Path:
        for version in versions or (1,):
            folder = repository / name / str(version)
            folder.mkdir(parents=True)
            if file:
                (folder / file).write_bytes(b"file")
        (repository / name / "config.pbtxt").write_text(config)
        return repository / name

    return write
