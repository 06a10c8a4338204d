"""System shared memory: the regions that clients registered, and the memory that requests refer to."""

import errno
import ipaddress
import mmap
import os
import re
import stat
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol
from urllib.parse import unquote

from npuserve.core.errors import ServeError, invalid
from npuserve.core.status import StatusCode

_FOLDER = "/dev/shm/"
_RESERVED_PREFIX = "triton_python_backend_shm_region_"
_LARGEST = 2**64 - 1
_IP_PEER = re.compile(r"ipv[46]:\[?([^\]]+?)\]?:\d+$")


@dataclass(frozen=True, slots=True)
class SharedMemoryReference:
    """Where a tensor says its bytes lie: `byte_size` bytes at `offset` of a registered region."""

    region: str
    offset: int
    byte_size: int


@dataclass(frozen=True, slots=True)
class RegisteredRegion:
    """What a client registered: `byte_size` bytes at `offset` of the POSIX shared memory object `key`."""

    name: str
    key: str
    offset: int
    byte_size: int


class RegionTable(Protocol):
    """Does more with regions than SharedMemoryRegions, which keeps serving all references that come to it."""

    def add(self, name: str, file: int, offset: int, memory: memoryview) -> object:
        """Take up a region under a name that is free: `memory` is the file from `offset` on, mapped writable.

        Whoever keeps the memory keeps the mapping. The file must not be kept.
        """
        ...

    def remove(self, name: str) -> None:
        """Forget a region; requests that use it keep its memory."""
        ...


class SharedMemoryRegions:
    """The regions of one server, by name, for all its protocols. Used on the event loop only.

    allow: whose regions and references are accepted: everyone's (True), nobody's (False), or those of clients on
    this host (None).

    A region that is unregistered while requests use it is unmapped when the last of them lets go of its memory.
    """

    def __init__(self, *, allow: bool | None = None) -> None:
        self._allow = allow
        self._regions: dict[str, _MappedRegion] = {}
        self._tables: list[RegionTable] = []

    def __repr__(self) -> str:
        size = sum(region.described.byte_size for region in self._regions.values())
        return f"<SharedMemoryRegions regions={len(self._regions)} bytes={size}>"

    def follow(self, table: RegionTable) -> None:
        """Tell the table of every region that is registered from now on, and when it is unregistered."""
        self._tables.append(table)

    def allows(self, peer: str) -> bool:
        """Say whether a client may use shared memory; `peer` as in Call."""
        return is_local(peer) if self._allow is None else self._allow

    def check_peer(self, peer: str) -> None:
        """Refuse a client that may not use shared memory; `peer` as in Call. Raises ServeError (UNIMPLEMENTED)."""
        if self.allows(peer):
            return
        message = "Client shared memory is disabled. Start the server with '--allow-client-shm=true' to enable."
        if self._allow is None:
            message = (
                f"Client shared memory is for clients on the server's host, not for '{peer}'. Start the server with "
                "'--allow-client-shm=true' to accept it from everywhere."
            )
        raise ServeError(StatusCode.UNIMPLEMENTED, message)

    def register(self, name: str, key: str, offset: int, byte_size: int) -> None:
        """Map a part of a POSIX shared memory object under a name that is not taken.

        offset: in the object, a multiple of the page size. Raises ServeError: ALREADY_EXISTS, INVALID_ARGUMENT,
        INTERNAL (there is no such object).
        """
        if name in self._regions:
            raise ServeError(StatusCode.ALREADY_EXISTS, f"shared memory region '{name}' already in manager")
        _check_key(name, key)
        file = _open(key)
        try:
            region = self._regions[name] = _MappedRegion(RegisteredRegion(name, key, offset, byte_size), file)
            for table in self._tables:
                table.add(name, file, offset, region.memory)
        finally:
            os.close(file)

    def status(self, name: str = "") -> list[RegisteredRegion]:
        """Describe one region, or all by name. Raises ServeError (NOT_FOUND)."""
        if not name:
            return [region.described for _, region in sorted(self._regions.items())]
        if name not in self._regions:
            raise ServeError(StatusCode.NOT_FOUND, f"Unable to find system shared memory region: '{name}'")
        return [self._regions[name].described]

    def unregister(self, name: str = "") -> None:
        """Forget one region, which need not exist, or all."""
        for each in [name] if name else list(self._regions):
            self._regions.pop(each, None)
            for table in self._tables:
                table.remove(each)

    def memory(self, reference: SharedMemoryReference) -> memoryview:
        """Return the memory that a reference names, writable; who keeps it keeps the mapping.

        Raises ServeError: NOT_FOUND, INVALID_ARGUMENT (any part of it lies outside the region).
        """
        region = self._regions.get(reference.region)
        if region is None:
            raise ServeError(StatusCode.NOT_FOUND, f"Unable to find shared memory region: '{reference.region}'")
        return region.part(reference)


class _MappedRegion:
    """One mapping. There is no way to close it: dropping the last view does."""

    def __init__(self, described: RegisteredRegion, file: int) -> None:
        """Map the file, which may be closed then. Raises ServeError."""
        self.described = described
        self._mapping = _map(file, described)
        self.memory = memoryview(self._mapping)

    def part(self, reference: SharedMemoryReference) -> memoryview:
        size = self.described.byte_size
        # Sizes and offsets count as unsigned, as in Triton: a negative one is beyond every region.
        offset, byte_size = reference.offset % 2**64, reference.byte_size % 2**64
        if offset >= size:
            raise invalid(f"Invalid offset for shared memory region: '{reference.region}'")
        if offset + byte_size > _LARGEST:
            raise invalid(
                f"Integer overflow detected: byte_size ({byte_size}) + offset ({offset}) exceeds maximum value "
                f"({_LARGEST}) for region '{reference.region}'"
            )
        if byte_size == 0 or offset + byte_size > size:
            raise invalid(f"Invalid offset + byte size for shared memory region: '{reference.region}'")
        # A client that shortens its object takes the pages away: touching them would kill the process.
        if self._mapping.size() < self.described.offset + size:
            raise invalid(f"the object of shared memory region '{reference.region}' was made smaller than the region")
        return self.memory[offset : offset + byte_size]


@lru_cache(maxsize=1024)
def is_local(peer: str) -> bool:
    """Say whether a client, named as in Call, is on this host."""
    peer = unquote(peer)
    if peer.startswith("unix:"):
        return True
    if not (match := _IP_PEER.match(peer)):
        return False
    with suppress(ValueError):
        address = ipaddress.ip_address(match[1])
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return (mapped or address).is_loopback
    return False


def _check_key(name: str, key: str) -> None:
    plain = key.lstrip("/")
    if not plain:
        raise invalid(f"cannot register shared memory region '{name}' - invalid shm key '{key}'")
    if plain.startswith(_RESERVED_PREFIX):
        raise invalid(
            f"cannot register shared memory region '{name}' with key '{key}' as the key contains the reserved prefix "
            f"'{_RESERVED_PREFIX}'"
        )


def _open(key: str) -> int:
    """Open a shared memory object as shm_open does: its name has no further slash, and links are not followed."""
    plain = key.lstrip("/")
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    file = -1
    try:
        if "/" in plain or "\0" in plain:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        file = os.open(_FOLDER + plain, flags)
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    except (OSError, UnicodeEncodeError) as error:
        raise ServeError(StatusCode.INTERNAL, f"Unable to open shared memory region: '{key}'") from error
    return file


def _map(file: int, region: RegisteredRegion) -> mmap.mmap:
    failed = f"failed to register shared memory region '{region.name}': "
    if region.offset + region.byte_size > os.fstat(file).st_size:
        raise invalid(failed + "invalid args")
    unmappable = invalid(failed + "unable to process address spaceInvalid argument")
    if region.byte_size == 0 or region.offset % mmap.ALLOCATIONGRANULARITY:
        raise unmappable
    try:
        return mmap.mmap(file, region.byte_size, offset=region.offset)
    except (OSError, ValueError) as error:
        raise unmappable from error
