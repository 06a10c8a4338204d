from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from support.served_models import add_model
from support.server import Server, serving


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    for kind in ("pair", "waiting", "fixed", "tokens"):
        add_model(folder, kind)
    return folder


@pytest.fixture(scope="session")
def server(repository: Path) -> Iterator[Server]:
    with serving(repository) as server:
        yield server


@pytest.fixture
def channel(server: Server) -> Iterator[grpc.Channel]:
    with server.channel() as channel:
        yield channel
