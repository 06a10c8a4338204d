"""Where a server process listens and how it is secured, as clients of another process see it."""

import subprocess
from pathlib import Path

import grpc
import pytest
from support.certificates import Pair, make_authority, make_certificate
from support.infer_requests import infer, pair_request
from support.served_models import add_model
from support.server import command, environment, serving


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    add_model(tmp_path / "models", "pair")
    return tmp_path / "models"


@pytest.fixture
def authority(tmp_path: Path) -> Pair:
    return make_authority(tmp_path, "authority")


def secure(url: str, roots: Pair, shown: Pair | None = None) -> grpc.Channel:
    """A channel to the same port by the name that is in the certificate."""
    key, cert = (None, None) if shown is None else (shown.key.read_bytes(), shown.cert.read_bytes())
    credentials = grpc.ssl_channel_credentials(roots.cert.read_bytes(), key, cert)
    return grpc.secure_channel(f"localhost:{url.rpartition(':')[2]}", credentials)


def ssl_flags(server: Pair) -> list[str]:
    return ["--grpc-use-ssl=true", f"--grpc-server-cert={server.cert}", f"--grpc-server-key={server.key}"]


@pytest.mark.parametrize("front_end", ["native", "grpcio"])
def test_tls_serves_those_who_know_the_authority(
    tmp_path: Path, repository: Path, authority: Pair, front_end: str
) -> None:
    server_pair = make_certificate(tmp_path, "server", authority)
    with serving(repository, *ssl_flags(server_pair), f"--frontend={front_end}") as server:
        with secure(server.url, authority) as channel:
            assert infer(channel, pair_request(id="q")).id == "q"
        with server.channel() as channel, pytest.raises(grpc.RpcError) as caught:
            infer(channel, pair_request())
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("front_end", ["native", "grpcio"])
def test_mutual_tls_serves_those_who_show_a_certificate(
    tmp_path: Path, repository: Path, authority: Pair, front_end: str
) -> None:
    pairs = [make_certificate(tmp_path, name, authority) for name in ("server", "client")]
    flags = ["--grpc-use-ssl-mutual", f"--grpc-root-cert={authority.cert}", f"--frontend={front_end}"]
    with serving(repository, *ssl_flags(pairs[0]), *flags) as server:
        with secure(server.url, authority, pairs[1]) as channel:
            assert infer(channel, pair_request(id="q")).id == "q"
        with secure(server.url, authority) as channel, pytest.raises(grpc.RpcError) as caught:
            infer(channel, pair_request())
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("front_end", ["native", "grpcio"])
def test_a_key_that_is_not_there_ends_the_start_with_its_flag(
    tmp_path: Path, repository: Path, authority: Pair, front_end: str
) -> None:
    flags = ssl_flags(Pair(authority.cert, tmp_path / "missing.key"))
    arguments = command("serve", "--model-repository", repository, *flags, f"--frontend={front_end}")
    result = subprocess.run(arguments, capture_output=True, text=True, env=environment(), timeout=60, check=False)
    assert result.returncode == 1
    assert result.stderr == (
        f"npuserve serve: error: --grpc-server-key: cannot read '{tmp_path}/missing.key': No such file or directory\n"
    )


@pytest.mark.parametrize("front_end", ["native", "grpcio"])
def test_a_unix_socket_is_served_beside_the_port_and_removed_at_the_end(
    tmp_path: Path, repository: Path, front_end: str
) -> None:
    path = tmp_path / "s"
    with serving(repository, f"--grpc-unix-socket={path}", f"--frontend={front_end}") as server:
        for target in (f"unix:{path}", server.url):
            with grpc.insecure_channel(target) as channel:
                assert infer(channel, pair_request(id="q")).id == "q"
        assert any(line.rstrip().endswith(f" and unix:{path}") for line in server.lines)
        server.signal()
        assert server.wait() == 0
    assert not path.exists()


def test_the_ipv6_wildcard_serves_both_families(repository: Path) -> None:
    with serving(repository, "--grpc-address=::") as server:
        port = server.url.rpartition(":")[2]
        for target in (f"ipv4:127.0.0.1:{port}", f"ipv6:[::1]:{port}"):
            with grpc.insecure_channel(target) as channel:
                assert infer(channel, pair_request(id="q")).id == "q"


def test_two_servers_share_a_port_if_both_agree(repository: Path) -> None:
    with serving(repository, "--reuse-grpc-port") as first:
        port = first.url.rpartition(":")[2]
        with serving(repository, "--reuse-grpc-port", f"--grpc-port={port}") as second:
            assert second.url == first.url
            first.signal()
            assert first.wait() == 0
            with second.channel() as channel:
                assert infer(channel, pair_request(id="q")).id == "q"


def test_a_message_beyond_its_limit_is_refused_by_both_front_ends_alike(repository: Path) -> None:
    answers = []
    for front_end in ("native", "grpcio"):
        with (
            serving(repository, "--grpc-max-message-bytes=100", f"--frontend={front_end}") as server,
            server.channel() as channel,
            pytest.raises(grpc.RpcError) as caught,
        ):
            infer(channel, pair_request())
        answers.append((caught.value.code(), caught.value.details()))
    assert answers[0] == answers[1]
    assert answers[0][0] is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_limit_that_the_other_front_end_has_not_is_warned_of(repository: Path) -> None:
    with serving(repository, "--frontend=grpcio", "--grpc-max-connections=9") as server:
        assert any("--grpc-max-connections has no effect with --frontend grpcio" in line for line in server.lines)
