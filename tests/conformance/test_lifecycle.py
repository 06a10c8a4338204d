"""Start and stop of the server process: what operators and their scripts see."""

import asyncio
import signal
import subprocess
from pathlib import Path

import grpc
import grpc.aio
import pytest
from support.infer_requests import infer, pair_request
from support.served_models import add_model
from support.server import command, environment, launched, serving
from tritonclient.grpc.service_pb2 import ModelInferRequest, ModelInferResponse, ServerReadyResponse

SHUTTING_DOWN = "GRPC server is shutting down and has stopped accepting new requests."
INFER = "/inference.GRPCInferenceService/ModelInfer"
LIVE = "/inference.GRPCInferenceService/ServerLive"


@pytest.fixture
def waiting(tmp_path: Path) -> Path:
    """A repository whose model answers a lone request only after half a second."""
    add_model(tmp_path, "waiting")
    return tmp_path


@pytest.fixture
def patient(tmp_path: Path) -> Path:
    """A repository whose model answers a lone request only after three seconds."""
    config = add_model(tmp_path, "waiting") / "config.pbtxt"
    config.write_text(config.read_text().replace("500000", "3000000"))
    return tmp_path


@pytest.fixture
def stuck(tmp_path: Path) -> Path:
    """A repository whose model answers a lone request only after a minute: longer than any test of it takes."""
    config = add_model(tmp_path, "waiting") / "config.pbtxt"
    config.write_text(config.read_text().replace("500000", "60000000"))
    return tmp_path


def accepted_request(channel: grpc.Channel) -> "grpc.CallFuture[ModelInferResponse]":
    """Send a request and return once the server, which reads a connection in order, has surely taken it up."""
    call = channel.unary_unary(INFER, ModelInferRequest.SerializeToString, ModelInferResponse.FromString)
    pending = call.future(pair_request(model_name="waiting"))
    live = channel.unary_unary(LIVE, bytes, bytes)
    for _ in range(3):
        live(b"", timeout=20)
    return pending


def run(*arguments: str | Path, **changes: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, env=environment(**changes), timeout=60, check=False
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_loses_no_accepted_request_and_refuses_new_ones(patient: Path, number: signal.Signals) -> None:
    with serving(patient, "--exit-timeout-secs=20") as server:
        async with grpc.aio.insecure_channel(server.url) as channel:
            call = channel.unary_unary(INFER, ModelInferRequest.SerializeToString, ModelInferResponse.FromString)
            accepted = [call(pair_request(model_name="waiting", id=str(index))) for index in range(21)]
            for _ in range(3):  # by then the server has taken up what was sent before
                await channel.unary_unary(LIVE, None, None)(b"", timeout=20)
            server.signal(number)
            await asyncio.to_thread(server.wait_for_line, "Signal received")
            late = [call(pair_request(model_name="waiting")) for _ in range(5)]
            answers = await asyncio.gather(*accepted)
            assert [answer.id for answer in answers] == [str(index) for index in range(21)]
            for refused in late:
                assert (await refused.code(), await refused.details()) == (grpc.StatusCode.UNAVAILABLE, SHUTTING_DOWN)
        assert await asyncio.to_thread(server.wait) == 0


async def test_requests_under_a_steady_load_are_answered_or_refused_but_never_lost(waiting: Path) -> None:
    outcomes: list[str] = []
    steady = asyncio.Event()

    async def load(channel: grpc.aio.Channel) -> None:
        call = channel.unary_unary(INFER, ModelInferRequest.SerializeToString, ModelInferResponse.FromString)
        while True:
            try:
                await call(pair_request(model_name="waiting"))
                outcomes.append("answered")
            except grpc.aio.AioRpcError as error:
                outcomes.append(error.code().name)
                return
            if len(outcomes) > 32:
                steady.set()

    with serving(waiting) as server:
        async with grpc.aio.insecure_channel(server.url) as channel, asyncio.TaskGroup() as tasks:
            for _ in range(16):
                tasks.create_task(load(channel))
            await asyncio.wait_for(steady.wait(), 20)
            server.signal()
        assert await asyncio.to_thread(server.wait) == 0
    assert outcomes.count("answered") > 16
    assert set(outcomes) == {"answered", "UNAVAILABLE"}


def test_an_idle_server_stops_with_code_0_and_not_only_when_its_budget_is_over(waiting: Path) -> None:
    with serving(waiting, "--exit-timeout-secs=600") as server:
        server.signal()
        assert server.wait() == 0


def test_a_budget_that_runs_out_ends_the_server_with_code_1(stuck: Path) -> None:
    with serving(stuck, "--exit-timeout-secs=0.1") as server, server.channel() as channel:
        pending = accepted_request(channel)
        server.signal()
        assert server.wait() == 1
        assert pending.code() is grpc.StatusCode.UNAVAILABLE
    assert "failed to stop server: Internal - Exit timeout expired. Exiting immediately." in server.lines[-1]


def test_a_second_signal_ends_the_server_without_the_rest_of_its_budget(stuck: Path) -> None:
    with serving(stuck, "--exit-timeout-secs=600") as server, server.channel() as channel:
        pending = accepted_request(channel)
        server.signal()
        server.wait_for_line("Signal received")
        server.signal()
        assert server.wait() == 1
        assert pending.code() is grpc.StatusCode.UNAVAILABLE
    assert "failed to stop server: Internal - Second signal. Exiting immediately." in server.lines[-1]


def test_a_broken_model_leaves_the_others_in_service_and_the_server_not_ready(tmp_path: Path) -> None:
    add_model(tmp_path, "pair")
    broken = add_model(tmp_path, "fixed", "broken") / "1" / "model.om"
    broken.unlink()
    broken.write_bytes(b"not an OM")
    with serving(tmp_path, "--exit-on-error=false") as server, server.channel() as channel:
        assert infer(channel, pair_request(id="q")).id == "q"
        with pytest.raises(grpc.RpcError) as caught:
            infer(channel, pair_request(model_name="broken"))
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        assert caught.value.details() == "Request for unknown model: 'broken' has no available versions"
        ready = channel.unary_unary("/inference.GRPCInferenceService/ServerReady", None, ServerReadyResponse.FromString)
        assert not ready(b"").ready
    assert any("failed to load 'broken' version 1" in line for line in server.lines)


def test_lax_readiness_overlooks_a_broken_model(tmp_path: Path) -> None:
    add_model(tmp_path, "pair")
    (add_model(tmp_path, "fixed", "broken") / "1" / "model.om").unlink()
    with (
        serving(tmp_path, "--exit-on-error", "off", "--strict-readiness", "0") as server,
        server.channel() as channel,
    ):
        ready = channel.unary_unary("/inference.GRPCInferenceService/ServerReady", None, ServerReadyResponse.FromString)
        assert ready(b"").ready


def test_a_broken_model_ends_the_start_by_default(tmp_path: Path) -> None:
    (add_model(tmp_path, "pair") / "config.pbtxt").write_text("max_batch_size: many")
    with launched(tmp_path) as server:
        assert server.wait() == 1
    assert any("failed to load all models" in line for line in server.lines)
    assert not server.url


def test_a_repository_that_does_not_exist_is_said_in_one_line(tmp_path: Path) -> None:
    result = run("serve", "--model-repository", tmp_path / "nowhere")
    assert result.returncode == 1
    assert result.stderr == (
        f"npuserve serve: error: --model-repository must be a folder, got '{tmp_path / 'nowhere'}'\n"
    )


def test_an_acl_library_that_does_not_exist_is_named(waiting: Path, tmp_path: Path) -> None:
    ports = ("--grpc-port=0", "--http-port=0", "--metrics-port=0")
    result = run("serve", "--model-repository", waiting, *ports, "--acl-library", tmp_path / "libx.so")
    assert result.returncode == 1
    assert str(tmp_path / "libx.so") in result.stderr


def test_a_port_in_use_ends_the_start(waiting: Path) -> None:
    with serving(waiting) as server:
        port = server.url.rpartition(":")[2]
        where = ("--grpc-address=127.0.0.1", f"--grpc-port={port}", "--http-port=0", "--metrics-port=0")
        result = run("serve", "--model-repository", waiting, *where)
        assert result.returncode == 1
        assert f"Socket '127.0.0.1:{port}' already in use" in result.stderr


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--foo=1"], "unrecognized arguments: --foo=1"),
        (["--grpc-port=many"], "argument --grpc-port: invalid int value: 'many'"),
        (["--exit-on-error=perhaps"], "argument --exit-on-error: expected true or false, got 'perhaps'"),
        (["--model-namespacing=true"], "--model-namespacing=true is not supported by npuserve"),
        (["--model-control-mod=poll"], "(did you mean --model-control-mode?)"),
    ],
)
def test_a_wrong_flag_ends_with_usage_and_code_1(waiting: Path, flags: list[str], text: str) -> None:
    result = run("serve", "--model-repository", waiting, *flags)
    assert result.returncode == 1
    assert result.stderr.startswith("usage: npuserve serve")
    assert text in result.stderr


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--grpc-port=99999"], "--grpc-port must be in range [0, 65535], got 99999"),
        (["--model-control-mode=now"], "--model-control-mode must be one of none, explicit, poll, got 'now'"),
        (["--http-port=7", "--grpc-port=7"], "--http-port must differ from --grpc-port, both are 7 on 0.0.0.0"),
        (["--rate-limit=some"], "--rate-limit must be one of off, execution_count, got 'some'"),
        (
            ["--host-policy=near"],
            "--host-policy option format is '<policy name>,<setting>=<value>'. Got near",
        ),
        (["--trace-config=rate=0"], "--trace-config rate must be in range [1, 4294967295], got 0"),
        (
            ["--grpc-header-forward-pattern=("],
            "invalid header forward pattern '(': missing ), unterminated subpattern at position 0",
        ),
    ],
)
def test_a_value_out_of_range_is_said_in_one_line(waiting: Path, flags: list[str], text: str) -> None:
    result = run("serve", "--model-repository", waiting, *flags)
    assert (result.returncode, result.stderr) == (1, f"npuserve serve: error: {text}\n")


def test_flags_of_triton_without_effect_here_are_accepted_with_a_warning(waiting: Path) -> None:
    with serving(waiting, "--http-thread-count=8", "--enable-peer-access", "false") as server:
        assert sum("has no effect" in line for line in server.lines) == 2


def test_log_lines_can_be_json_objects(waiting: Path) -> None:
    with serving(waiting, "--log-format=json") as server:
        assert all(line.startswith('{"time": ') for line in server.lines)
