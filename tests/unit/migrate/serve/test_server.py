import signal
from pathlib import Path

import pytest
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.serve.client import Client
from npuserve.migrate.serve.server import Server, serve_command


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    version = tmp_path / "models" / "echo" / "1"
    version.mkdir(parents=True)
    (version.parent / "config.pbtxt").write_text(
        """
        backend: "identity"
        input { name: "x" data_type: TYPE_FP32 dims: [ 4 ] }
        output { name: "y" data_type: TYPE_FP32 dims: [ 4 ] }
        """
    )
    return version.parent.parent


def test_it_serves_as_long_as_the_block_lasts(repository: Path, tmp_path: Path) -> None:
    with Server(repository, tmp_path / "server.log") as server, Client(server.url) as client:
        assert client.server().startswith("npuserve")
        assert [port.name for port in client.interface("echo").inputs] == ["x"]
        assert (server.peak_memory_mb() or 0) > 1
    assert not Path(f"/proc/{server.pid}").exists()


def test_a_model_that_does_not_load_ends_it_with_the_reason(repository: Path, tmp_path: Path) -> None:
    (repository / "echo" / "config.pbtxt").write_text('backend: "nothing"')
    with (
        pytest.raises(MigrationError, match=r"(?s)ended with code 1:.*nothing"),
        Server(repository, tmp_path / "server.log"),
    ):
        pass


def test_a_server_that_dies_meanwhile_is_told(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match="ended with code -9"), Server(repository, tmp_path / "log") as server:
        server._process.send_signal(signal.SIGKILL)  # type: ignore[union-attr]  # it runs
        server._process.wait()  # type: ignore[union-attr]


def test_a_fault_within_the_block_is_not_hidden_by_the_end(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyError), Server(repository, tmp_path / "server.log") as server:
        raise KeyError
    assert not Path(f"/proc/{server.pid}").exists()


def test_the_command_can_be_pasted() -> None:
    assert serve_command(Path("/a b/c")) == "npuserve serve --model-repository '/a b/c'"
