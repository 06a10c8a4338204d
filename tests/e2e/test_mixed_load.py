"""A mixed load in short: clients of every kind of `benchmarks/soak`, a fixed number of rounds each, side by side."""

import asyncio
import gc
from collections.abc import Iterator

import pytest
from support.server import Server, serving

from benchmarks.server import open_files, wait_for_open_files
from benchmarks.soak.kinds import KINDS
from benchmarks.soak.ledger import Ledger
from benchmarks.soak.load import Load, run_rounds
from benchmarks.soak.models import SERVER_FLAGS, write_repository
from benchmarks.soak.run import is_error
from benchmarks.soak.verdict import ask_each_model, count, miscounts

ROUNDS = 3


class Loaded:
    """A server after its load, and what the clients and the kernel say of it."""

    def __init__(self, server: Server, front_end: str) -> None:
        host, _, port = server.url.rpartition(":")
        self._load = Load(host, int(port))
        self.server = server
        self.front_end = front_end
        self.miscounts: list[str] = []
        self.files_growth = 0

    @property
    def ledger(self) -> Ledger:
        return self._load.ledger

    async def run(self) -> None:
        process = self.server.process.pid
        await run_rounds(self._load, KINDS, 1)
        files = open_files(process)  # with what a front end opens at first use and keeps
        await run_rounds(self._load, KINDS, ROUNDS - 1)
        await ask_each_model(self._load)
        gc.collect()  # a call that grpcio has not let go of keeps its connection
        # grpc.aio holds on to clients that left without a word for longer than a test should wait.
        self.files_growth = 0 if self.front_end == "grpcio" else wait_for_open_files(process, files) - files
        self.miscounts = miscounts(self.ledger, await count(self._load))


@pytest.fixture(scope="module", params=list(SERVER_FLAGS))
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    repository = tmp_path_factory.mktemp("repository")
    write_repository(repository)
    with serving(repository, *SERVER_FLAGS[request.param]) as server:
        loaded = Loaded(server, request.param)
        asyncio.run(loaded.run())
        yield loaded


def test_every_request_is_answered_once_and_by_its_own_bytes(loaded: Loaded) -> None:
    assert loaded.ledger.mistakes == []
    assert {subject: tally for subject, tally in loaded.ledger.tallies.items() if tally.unanswered} == {}
    assert loaded.ledger.sent > 100 * ROUNDS


def test_the_counters_of_the_server_are_what_clients_saw(loaded: Loaded) -> None:
    assert loaded.miscounts == []


def test_no_file_stays_open_behind_clients_that_left(loaded: Loaded) -> None:
    assert loaded.files_growth <= 0


def test_afterwards_the_server_drains_and_leaves_no_error_in_its_log(loaded: Loaded) -> None:
    loaded.server.signal()
    assert loaded.server.wait() == 0
    # grpc.aio itself writes a trace when a client has gone before its answer.
    assert loaded.front_end == "grpcio" or [line for line in loaded.server.lines if is_error(line)] == []
