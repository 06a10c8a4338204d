from pathlib import Path

import pytest
from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.core.errors import ServeError
from npuserve.core.status import StatusCode
from npuserve.repository.labels import read_labels


def config() -> ModelConfig:
    config = ModelConfig(name="m")
    config.output.add(name="y", label_filename="labels.txt")
    config.output.add(name="z")
    return config


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("zero\none\n", ("zero", "one")),
        ("zero\none", ("zero", "one")),
        ("zero\n\n two \n\n", ("zero", "", " two ", "")),
        # Triton keeps what stands before a line feed.
        ("zero\r\none\r\n", ("zero\r", "one\r")),
        ("één\u2028a\fb", ("één\u2028a\fb",)),
        ("", ("",)),
    ],
)
def test_a_label_is_a_line(tmp_path: Path, text: str, labels: tuple[str, ...]) -> None:
    (tmp_path / "labels.txt").write_bytes(text.encode())
    assert read_labels(tmp_path, config()) == {"y": labels}


def test_a_label_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ServeError) as caught:
        read_labels(tmp_path, config())
    assert (caught.value.status, caught.value.message) == (
        StatusCode.INTERNAL,
        f"failed to open text file for read {tmp_path / 'labels.txt'}: No such file or directory",
    )


def test_a_label_file_must_be_text(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_bytes(b"\xff")
    with pytest.raises(ServeError, match="is not UTF-8 text"):
        read_labels(tmp_path, config())
