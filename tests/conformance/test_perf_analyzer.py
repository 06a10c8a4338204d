"""The real perf_analyzer against a running server: it tests the metadata, the statistics and the ids of answers."""

import csv
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.golden_models import sequence_model, write_repository
from support.peers import PeerUnavailableError, perf_analyzer
from support.server import Server, serving

SEQUENCES = (
    sequence_model("direct", "direct { }", "UINT64"),
    sequence_model("oldest", "oldest { max_candidate_sequences: 4 }", "UINT64"),
)
Program = tuple[Path, dict[str, str]]


@pytest.fixture(scope="session")
def program() -> Program:
    try:
        return perf_analyzer()
    except PeerUnavailableError as error:
        pytest.skip(f"perf_analyzer cannot be had: {error}")


@pytest.fixture(scope="module")
def sequences(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of models that keep a sequence's state: one for each strategy."""
    repository = tmp_path_factory.mktemp("sequences") / "models"
    write_repository(repository, SEQUENCES, "npuserve")
    with serving(repository) as server:
        yield server


def _measured(program: Program, folder: Path, *flags: str) -> dict[str, str]:
    """The report's row. perf_analyzer fails if an answer is an error or has a wrong id."""
    path, environment = program
    report = folder / "report.csv"
    command: list[str | Path] = [path, *flags]
    command += ["--request-count", "100", "-f", report]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    (row,) = csv.DictReader(report.read_text().splitlines())
    return row


def _assert_counted(row: dict[str, str]) -> None:
    """The server's statistics tell of what was sent."""
    assert float(row["Inferences/Second"]) > 0
    assert float(row["Server Compute Infer"]) > 0
    assert float(row["p99 latency"]) > 0


@pytest.mark.parametrize("mode", ["--sync", "--async"])
def test_perf_analyzer_measures_grpc(program: Program, server: Server, tmp_path: Path, mode: str) -> None:
    flags = ("-i", "grpc", "-u", server.url, "-b", "2", mode, "--concurrency-range", "4")
    _assert_counted(_measured(program, tmp_path, "-m", "pair", *flags))


@pytest.mark.parametrize("mode", ["--sync", "--async"])
def test_perf_analyzer_measures_http(program: Program, both: dict[str, Server], tmp_path: Path, mode: str) -> None:
    flags = ("-i", "http", "-u", both["native"].http_url, "-b", "2", mode, "--concurrency-range", "4")
    _assert_counted(_measured(program, tmp_path, "-m", "pair", *flags))


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_perf_analyzer_measures_shared_memory(
    program: Program, both: dict[str, Server], tmp_path: Path, protocol: str
) -> None:
    url = both["native"].url if protocol == "grpc" else both["native"].http_url
    flags = ("--shared-memory", "system", "--output-shared-memory-size", "1024", "--concurrency-range", "2")
    _assert_counted(_measured(program, tmp_path, "-m", "pair", "-u", url, "-i", protocol, *flags))


def test_perf_analyzer_measures_streams(program: Program, both: dict[str, Server], tmp_path: Path) -> None:
    flags = ("-i", "grpc", "-u", both["native"].url, "--streaming", "--concurrency-range", "4")
    _assert_counted(_measured(program, tmp_path, "-m", "pair", *flags))


@pytest.mark.parametrize("model", [model.name for model in SEQUENCES])
@pytest.mark.parametrize("flags", [("-i", "http", "--sync"), ("-i", "grpc", "--streaming")], ids=["http", "stream"])
def test_perf_analyzer_measures_sequences(
    program: Program, sequences: Server, tmp_path: Path, model: str, flags: tuple[str, ...]
) -> None:
    url = sequences.http_url if "http" in flags else sequences.url
    flags = (*flags, "--sequence-length", "6", "--concurrency-range", "2")
    _assert_counted(_measured(program, tmp_path, "-m", model, "-u", url, *flags))
