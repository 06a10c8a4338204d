"""TLS for the front ends: contexts from PEM files, with refusals that name the flag."""

import os
import ssl
from pathlib import Path

from npuserve.config.grpc_options import TlsOptions
from npuserve.transport.front_end import FrontEndError

# RFC 9113 section 9.2.2 forbids the others of TLS 1.2; those of TLS 1.3 are all fit.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


def server_context(options: TlsOptions) -> ssl.SSLContext:
    """Return a context for TLS 1.2 and above that offers HTTP/2; with a root certificate, clients must show theirs.

    Raises FrontEndError, naming the flag, for a file that is missing, cannot be read or does not fit.
    """
    _require_readable("--grpc-server-cert", options.server_cert)
    _require_readable("--grpc-server-key", options.server_key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(["h2"])
    _load_certificate(context, options)
    if options.root_cert is not None:
        _require_readable("--grpc-root-cert", options.root_cert)
        _load_roots(context, options.root_cert)
    return context


def _load_certificate(context: ssl.SSLContext, options: TlsOptions) -> None:
    try:
        context.load_cert_chain(options.server_cert, options.server_key, password=_refuse_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise FrontEndError(
                f"--grpc-server-key '{options.server_key}' does not belong to --grpc-server-cert "
                f"'{options.server_cert}'"
            ) from error
        raise FrontEndError(
            f"--grpc-server-cert '{options.server_cert}' and --grpc-server-key '{options.server_key}' must be PEM "
            f"files of a certificate and its key: {error.reason or error}"
        ) from error


def _load_roots(context: ssl.SSLContext, path: Path) -> None:
    try:
        context.load_verify_locations(path)
    except ssl.SSLError as error:
        raise FrontEndError(
            f"--grpc-root-cert '{path}' must be a PEM file of certificates: {error.reason or error}"
        ) from error
    context.verify_mode = ssl.CERT_REQUIRED


def _refuse_password() -> str:
    # Without this OpenSSL would ask at the terminal.
    raise FrontEndError("--grpc-server-key must not be encrypted")


def _require_readable(flag: str, path: Path) -> None:
    try:
        with path.open("rb") as file:
            os.fstat(file.fileno())
            file.read(1)
    except OSError as error:
        raise FrontEndError(f"{flag}: cannot read '{path}': {error.strerror}") from error
