"""Certificates for tests: an authority and what it signed, made by the openssl command."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, both PEM files."""

    cert: Path
    key: Path


def make_authority(folder: Path, name: str) -> Pair:
    """Make a root certificate."""
    pair = Pair(folder / f"{name}.pem", folder / f"{name}.key")
    _openssl("req", "-x509", *_new_key(pair), "-out", pair.cert, "-subj", f"/CN={name}", "-days", "2")
    return pair


def make_certificate(folder: Path, name: str, authority: Pair) -> Pair:
    """Make a certificate for localhost and 127.0.0.1, good for servers and clients, signed by the authority."""
    pair = Pair(folder / f"{name}.pem", folder / f"{name}.key")
    request, extensions = folder / f"{name}.csr", folder / f"{name}.ext"
    extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    _openssl("req", *_new_key(pair), "-out", request, "-subj", f"/CN={name}")
    _openssl(
        *("x509", "-req", "-in", request, "-CA", authority.cert, "-CAkey", authority.key, "-CAcreateserial"),
        *("-out", pair.cert, "-days", "2", "-extfile", extensions),
    )
    return pair


def encrypt_key(key: Path, encrypted: Path) -> None:
    """Write the key with a password."""
    _openssl("ec", "-in", key, "-aes256", "-passout", "pass:secret", "-out", encrypted)


def _new_key(pair: Pair) -> tuple[str | Path, ...]:
    return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", pair.key)


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
