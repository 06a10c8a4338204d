import contextlib
import resource
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from npuserve.transport.front_end import FrontEndError
from npuserve.transport.listen import UnixListener, host_port, raise_open_files_limit, tcp_sockets


@contextlib.contextmanager
def closing(sockets: Sequence[socket.socket]) -> Iterator[list[int]]:
    """The sockets' ports; they are closed at the end."""
    try:
        yield [opened.getsockname()[1] for opened in sockets]
    finally:
        for opened in sockets:
            opened.close()


def connect(host: str, port: int) -> None:
    with socket.create_connection((host, port), timeout=10):
        pass


@pytest.mark.parametrize(("host", "other"), [("127.0.0.1", "::1"), ("::1", "127.0.0.1")])
def test_an_address_is_listened_on_alone(host: str, other: str) -> None:
    with closing(tcp_sockets(host, 0)) as (port,):
        connect(host, port)
        with pytest.raises(ConnectionRefusedError):
            connect(other, port)


def test_the_ipv6_wildcard_takes_ipv4_clients_too() -> None:
    with closing(tcp_sockets("::", 0)) as (port,):
        connect("127.0.0.1", port)
        connect("::1", port)


def test_the_ipv4_wildcard_takes_ipv4_clients() -> None:
    with closing(tcp_sockets("0.0.0.0", 0)) as (port,):
        connect("127.0.0.1", port)


def test_all_addresses_of_a_name_share_one_port() -> None:
    with closing(tcp_sockets("localhost", 0)) as ports:
        assert len(set(ports)) == 1
        connect("localhost", ports[0])


def test_the_sockets_do_not_block_and_their_connections_do_not_delay() -> None:
    (opened,) = tcp_sockets("127.0.0.1", 0)
    with closing([opened]) as (port,), socket.create_connection(("127.0.0.1", port)):
        assert not opened.getblocking()
        opened.setblocking(True)
        accepted, _ = opened.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_port_in_use_is_refused_in_tritons_words() -> None:
    with closing(tcp_sockets("127.0.0.1", 0)) as (port,), pytest.raises(FrontEndError) as caught:
        tcp_sockets("127.0.0.1", port)
    assert str(caught.value) == (
        f"failed to start GRPC service: Unavailable - Socket '127.0.0.1:{port}' already in use or not available"
    )


def test_a_name_that_does_not_exist_is_refused_with_the_reason() -> None:
    with pytest.raises(FrontEndError, match=r"Socket 'no\.such\.invalid:1' already in use or not available: "):
        tcp_sockets("no.such.invalid", 1)


def test_an_address_of_another_machine_is_refused_with_the_reason() -> None:
    with pytest.raises(FrontEndError, match=r"'192\.0\.2\.1:1' already in use or not available: .*"):
        tcp_sockets("192.0.2.1", 1)


def test_a_port_is_shared_only_if_both_agree() -> None:
    with closing(tcp_sockets("127.0.0.1", 0, reuse_port=True)) as (port,):
        with closing(tcp_sockets("127.0.0.1", port, reuse_port=True)) as (second,):
            assert second == port
        with pytest.raises(FrontEndError):
            tcp_sockets("127.0.0.1", port)


def test_ipv6_is_written_in_brackets() -> None:
    assert [host_port(host, 1) for host in ("::", "0.0.0.0", "a.b")] == ["[::]:1", "0.0.0.0:1", "a.b:1"]


def test_a_unix_socket_is_removed_when_it_is_closed(tmp_path: Path) -> None:
    listener = UnixListener(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "s"))
    listener.close()
    listener.close()
    assert not (tmp_path / "s").exists()


def test_what_a_dead_server_left_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "s"))
    UnixListener(tmp_path / "s").close()
    assert not (tmp_path / "s").exists()


def test_a_unix_socket_in_use_is_refused_and_left_alone(tmp_path: Path) -> None:
    listener = UnixListener(tmp_path / "s")
    with pytest.raises(FrontEndError, match=f"Socket 'unix:{tmp_path}/s' already in use or not available$"):
        UnixListener(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "s"))
    listener.close()


def test_a_file_that_is_no_socket_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("precious")
    with pytest.raises(FrontEndError, match="there is a file that is no socket"):
        UnixListener(tmp_path / "s")
    assert (tmp_path / "s").read_text() == "precious"


@pytest.mark.parametrize("name", ["no/such/folder", "x" * 200])
def test_a_unix_socket_that_cannot_be_made_is_refused_with_the_reason(tmp_path: Path, name: str) -> None:
    with pytest.raises(FrontEndError, match=r"already in use or not available: .+"):
        UnixListener(tmp_path / name)


def test_a_unix_socket_that_another_server_has_replaced_is_left_to_it(tmp_path: Path) -> None:
    first = UnixListener(tmp_path / "s")
    (tmp_path / "s").rename(tmp_path / "old")
    second = UnixListener(tmp_path / "s")
    first.close()
    assert (tmp_path / "s").exists()
    second.close()


def test_the_limit_of_open_files_is_raised_to_what_is_allowed() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, hard), hard))
    try:
        assert raise_open_files_limit() == hard
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
