"""TLS as clients see it on both front ends, and what is said of files that do not fit."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from npuserve._proto.inference_pb2 import ServerLiveResponse
from npuserve.config.grpc_options import TlsOptions
from npuserve.service.call import Call
from npuserve.transport.front_end import FrontEndError
from npuserve.transport.tls import server_context
from support.certificates import Pair, encrypt_key, make_authority, make_certificate
from support.front_ends import UNARY, served, unary


@dataclass(frozen=True)
class Files:
    authority: Pair
    server: Pair
    client: Pair
    stranger: Pair

    def options(self, *, mutual: bool = False) -> TlsOptions:
        root = self.authority.cert if mutual else None
        return TlsOptions(server_cert=self.server.cert, server_key=self.server.key, root_cert=root)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("tls")
    authority, strangers = make_authority(folder, "authority"), make_authority(folder, "strangers")
    server, client = (make_certificate(folder, name, authority) for name in ("server", "client"))
    return Files(authority, server, client, make_certificate(folder, "stranger", strangers))


@pytest.fixture(params=["native", "grpcio"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def live(request: Any, call: Call) -> ServerLiveResponse:
    return ServerLiveResponse(live=True)


def credentials(roots: Pair, shown: Pair | None = None) -> grpc.ChannelCredentials:
    if shown is None:
        return grpc.ssl_channel_credentials(roots.cert.read_bytes())
    return grpc.ssl_channel_credentials(roots.cert.read_bytes(), shown.key.read_bytes(), shown.cert.read_bytes())


async def code(address: str, chosen: grpc.ChannelCredentials | None) -> grpc.StatusCode:
    """The status of a call with the credentials, or in clear text."""
    port = address.rpartition(":")[2]
    target = f"localhost:{port}"
    channel = grpc.aio.insecure_channel(target) if chosen is None else grpc.aio.secure_channel(target, chosen)
    async with channel:
        return await channel.unary_unary(UNARY, None, None)(b"", timeout=20).code()


async def test_a_client_that_knows_the_authority_is_served(kind: str, files: Files) -> None:
    async with served(kind, unary(live), tls=files.options()) as (_, address):
        assert await code(address, credentials(files.authority)) is grpc.StatusCode.OK


async def test_a_client_that_knows_another_authority_or_none_is_not(kind: str, files: Files) -> None:
    async with served(kind, unary(live), tls=files.options()) as (_, address):
        assert await code(address, credentials(files.stranger)) is grpc.StatusCode.UNAVAILABLE
        assert await code(address, None) is grpc.StatusCode.UNAVAILABLE


async def test_with_a_root_certificate_clients_must_show_one_that_it_signed(kind: str, files: Files) -> None:
    async with served(kind, unary(live), tls=files.options(mutual=True)) as (_, address):
        assert await code(address, credentials(files.authority, files.client)) is grpc.StatusCode.OK
        assert await code(address, credentials(files.authority)) is grpc.StatusCode.UNAVAILABLE
        assert await code(address, credentials(files.authority, files.stranger)) is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("protocols", [[], ["http/1.1"]])
async def test_a_client_that_does_not_offer_http2_is_sent_away(files: Files, protocols: list[str]) -> None:
    async with served("native", unary(live), tls=files.options()) as (_, address):
        context = ssl.create_default_context(cafile=files.authority.cert)
        if protocols:
            context.set_alpn_protocols(protocols)
        assert await first_bytes(address, context) == b""


async def test_a_client_that_offers_http2_among_others_gets_it(files: Files) -> None:
    async with served("native", unary(live), tls=files.options()) as (_, address):
        context = ssl.create_default_context(cafile=files.authority.cert)
        context.set_alpn_protocols(["http/1.1", "h2"])
        assert await first_bytes(address, context) != b""


def test_tls_below_1_2_is_refused(files: Files) -> None:
    context = server_context(files.options())
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


async def first_bytes(address: str, context: ssl.SSLContext) -> bytes:
    """What the server says first; nothing if it closes."""
    reader, writer = await asyncio.open_connection("localhost", int(address.rpartition(":")[2]), ssl=context)
    try:
        return await asyncio.wait_for(reader.read(9), 20)
    except ConnectionError:
        return b""
    finally:
        writer.close()


def garbage(folder: Path, files: Files) -> Path:
    (folder / "garbage.pem").write_text("garbage")
    return folder / "garbage.pem"


def locked(folder: Path, files: Files) -> Path:
    encrypt_key(files.server.key, folder / "locked.key")
    return folder / "locked.key"


def missing(folder: Path, files: Files) -> Path:
    return folder / "missing.pem"


def of_another(folder: Path, files: Files) -> Path:
    return files.client.key


def a_folder(folder: Path, files: Files) -> Path:
    return folder


@pytest.mark.parametrize(
    ("option", "make", "text"),
    [
        ("server_cert", missing, "--grpc-server-cert: cannot read '{path}': No such file or directory"),
        ("server_key", missing, "--grpc-server-key: cannot read '{path}': No such file or directory"),
        ("root_cert", missing, "--grpc-root-cert: cannot read '{path}': No such file or directory"),
        ("server_key", a_folder, "--grpc-server-key: cannot read '{path}': Is a directory"),
        ("server_key", of_another, "--grpc-server-key '{path}' does not belong to --grpc-server-cert '{cert}'"),
        ("server_key", locked, "--grpc-server-key must not be encrypted"),
        ("server_key", garbage, "--grpc-server-key '{path}' must be PEM files of a certificate and its key"),
        ("server_cert", garbage, "--grpc-server-cert '{path}' and --grpc-server-key"),
        ("root_cert", garbage, "--grpc-root-cert '{path}' must be a PEM file of certificates"),
    ],
)
def test_a_file_that_does_not_fit_is_named_with_its_flag(
    files: Files,
    tmp_path: Path,
    option: str,
    make: Callable[[Path, Files], Path],
    text: str,
) -> None:
    path = make(tmp_path, files)
    fitting = {"server_cert": files.server.cert, "server_key": files.server.key, "root_cert": files.authority.cert}
    with pytest.raises(FrontEndError) as caught:
        server_context(TlsOptions(**fitting | {option: path}))
    assert text.format(path=path, cert=files.server.cert) in str(caught.value)
