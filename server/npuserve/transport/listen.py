"""Listening sockets: TCP over IPv4, IPv6 or both, and Unix sockets."""

import errno
import os
import resource
import socket
import stat
from collections.abc import Sequence
from pathlib import Path

from npuserve.transport.front_end import FrontEndError

# As many as the system allows: thousands of clients may connect in the same instant.
BACKLOG = 65_535


def tcp_sockets(host: str, port: int, *, reuse_port: bool = False, service: str = "GRPC") -> list[socket.socket]:
    """Listen on every address of the host, all with the same port; `::` is IPv4 too. Port 0 lets the system choose.

    An address that this machine does not have is left out if there is another. service: whose the sockets are.
    Raises FrontEndError, in Triton's words.
    """
    sockets: list[socket.socket] = []
    failure: OSError | None = None
    try:
        for family, address in _addresses(host, port):
            chosen = sockets[0].getsockname()[1] if sockets else port
            try:
                sockets.append(_tcp_socket(family, address, chosen, reuse_port))
            except OSError as error:
                failure = error
                if error.errno == errno.EADDRINUSE:
                    break
    except OSError as error:
        failure = error
    if failure is not None and (failure.errno == errno.EADDRINUSE or not sockets):
        for opened in sockets:
            opened.close()
        raise _unavailable(service, host_port(host, port), failure) from failure
    return sockets


def host_port(host: str, port: int) -> str:
    """Return the address as it is written, IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _addresses(host: str, port: int) -> Sequence[tuple[int, str]]:
    """Return family and address of each that the host has, without repetition."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((int(family), str(address[0])) for family, _, _, _, address in found))


def _tcp_socket(family: int, address: str, port: int, reuse_port: bool) -> socket.socket:
    # asyncio would make an IPv6 socket IPv6 only, hence our own.
    opened = socket.create_server(
        (address, port),
        family=family,
        backlog=BACKLOG,
        reuse_port=reuse_port,
        dualstack_ipv6=address == "::" and socket.has_dualstack_ipv6(),
    )
    # Accepted connections inherit it.
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    opened.setblocking(False)
    return opened


class UnixListener:
    """A Unix socket that listens at a path, which it removes when it is closed."""

    def __init__(self, path: Path) -> None:
        """Listen. What a server that is gone has left there is removed. Raises FrontEndError."""
        self.path = path
        try:
            _remove_stale(path)
            self.socket = _unix_socket(path)
        except OSError as error:
            raise _unavailable("GRPC", f"unix:{path}", error) from error
        self._file = _file_of(path)

    def close(self) -> None:
        """Remove the path, unless it is somebody else's by now, and close. Idempotent."""
        if self._file is not None and _file_of(self.path) == self._file:
            self.path.unlink(missing_ok=True)
        self._file = None
        self.socket.close()


def _unavailable(service: str, address: str, error: OSError) -> FrontEndError:
    why = "" if error.errno == errno.EADDRINUSE else f": {error.strerror or error}"
    return FrontEndError(
        f"failed to start {service} service: Unavailable - Socket '{address}' already in use or not available{why}"
    )


def _unix_socket(path: Path) -> socket.socket:
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        opened.bind(str(path))
        opened.listen(BACKLOG)
        opened.setblocking(False)
    except OSError:
        opened.close()
        raise
    return opened


def _remove_stale(path: Path) -> None:
    """Remove a socket on which nobody listens.

    Raises OSError: EADDRINUSE if somebody does, EEXIST if there is another kind of file.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(errno.EEXIST, "there is a file that is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        # A listener whose queue is full answers EAGAIN: only a refusal says that nobody listens.
        if probe.connect_ex(str(path)) != errno.ECONNREFUSED:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    path.unlink()


def _file_of(path: Path) -> tuple[int, int] | None:
    """Return what tells the file at the path from another that took its place."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def raise_open_files_limit() -> int:
    """Let the process open as many files, connections included, as it is allowed to; return how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
