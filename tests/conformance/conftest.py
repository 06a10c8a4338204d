from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest
from support.call_corpus import COPIED, LARGE_BYTES
from support.served_models import add_identity_model, add_model, copy_config
from support.server import Server, serving

FRONT_ENDS = ("native", "grpcio")


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    for kind in ("pair", "waiting", "fixed", "tokens"):
        add_model(folder, kind)
    for dtype in COPIED:
        add_identity_model(folder, f"copy_{dtype}", copy_config(dtype, 3, rest="max_batch_size: 2"))
    add_identity_model(folder, "large", copy_config("FP32", LARGE_BYTES // 4))
    add_identity_model(folder, "idle", copy_config("FP32", 1))
    return folder


@pytest.fixture(scope="session")
def both(repository: Path) -> Iterator[dict[str, Server]]:
    """A server a front end, over the same models."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(serving(repository, f"--frontend={name}")) for name in FRONT_ENDS}


@pytest.fixture(scope="session", params=FRONT_ENDS)
def server(both: dict[str, Server], request: pytest.FixtureRequest) -> Server:
    server: Server = both[request.param]
    return server


@pytest.fixture
def channel(server: Server) -> Iterator[grpc.Channel]:
    with server.channel() as channel:
        yield channel
