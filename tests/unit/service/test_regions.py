import gc
import mmap
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from npuserve.core.errors import ServeError
from npuserve.core.status import StatusCode
from npuserve.service.regions import RegisteredRegion, SharedMemoryReference, SharedMemoryRegions, is_local

PAGE = mmap.PAGESIZE
KEY = f"/npuserve_unit_{os.getpid()}"


@pytest.fixture
def shared_object() -> Iterator[Path]:
    """A shared memory object of two pages."""
    path = Path("/dev/shm" + KEY)
    path.write_bytes(bytes(2 * PAGE))
    yield path
    path.unlink(missing_ok=True)


@pytest.fixture
def regions(shared_object: Path) -> SharedMemoryRegions:
    regions = SharedMemoryRegions()
    regions.register("r", KEY, 0, 2 * PAGE)
    return regions


def mappings() -> int:
    """How often this process maps the object."""
    return Path("/proc/self/maps").read_text().count(KEY)


@pytest.mark.parametrize(
    ("peer", "local"),
    [
        ("unix:", True),
        ("unix:/tmp/socket", True),
        ("ipv4:127.0.0.1:5000", True),
        ("ipv4:127.9.9.9:5000", True),
        ("ipv6:[::1]:5000", True),
        ("ipv6:%5B::1%5D:5000", True),
        ("ipv6:[::ffff:127.0.0.1]:5000", True),
        ("ipv4:10.0.0.1:5000", False),
        ("ipv6:[fe80::1]:5000", False),
        ("ipv6:[::ffff:10.0.0.1]:5000", False),
        ("ipv4:127.0.0.1.example:5000", False),
        ("127.0.0.1:5000", False),
        ("ipv4:localhost:5000", False),
        ("", False),
    ],
)
def test_a_peer_is_local_if_its_address_is(peer: str, local: bool) -> None:
    assert is_local(peer) is local


@pytest.mark.parametrize(
    ("allow", "peer", "accepted"),
    [
        (None, "ipv4:127.0.0.1:1", True),
        (None, "ipv4:10.0.0.1:1", False),
        (True, "ipv4:10.0.0.1:1", True),
        (True, "", True),
        (False, "unix:", False),
    ],
)
def test_whose_shared_memory_is_accepted(allow: bool | None, peer: str, accepted: bool) -> None:
    regions = SharedMemoryRegions(allow=allow)
    if accepted:
        regions.check_peer(peer)
        return
    with pytest.raises(ServeError, match="--allow-client-shm=true") as caught:
        regions.check_peer(peer)
    assert caught.value.status is StatusCode.UNIMPLEMENTED


def test_a_region_is_the_clients_memory(regions: SharedMemoryRegions, shared_object: Path) -> None:
    memory = regions.memory(SharedMemoryReference("r", 5, 3))
    assert (memory.nbytes, memory.readonly, memory.format) == (3, False, "B")
    memory[:] = b"abc"
    assert shared_object.read_bytes()[:10] == b"\0\0\0\0\0abc\0\0"


def test_a_region_that_is_in_use_is_unmapped_when_the_last_use_ends(regions: SharedMemoryRegions) -> None:
    memory = regions.memory(SharedMemoryReference("r", 0, 4))
    regions.unregister("r")
    with pytest.raises(ServeError, match="Unable to find shared memory region: 'r'"):
        regions.memory(SharedMemoryReference("r", 0, 4))
    memory[:] = b"good"
    assert mappings() == 1
    del memory
    gc.collect()
    assert mappings() == 0


class Table:
    """What it is told of, as lines."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def add(self, name: str, file: int, offset: int, memory: memoryview) -> None:
        self.told.append(f"add {name} {offset} {len(memory)} of {os.fstat(file).st_size}")

    def remove(self, name: str) -> None:
        self.told.append(f"remove {name}")


def test_a_table_is_told_of_what_is_registered_and_unregistered(shared_object: Path) -> None:
    regions, table = SharedMemoryRegions(), Table()
    regions.follow(table)
    regions.register("a", KEY, 0, 2 * PAGE)
    regions.register("b", KEY, PAGE, 8)
    for name, key, size in (("a", KEY, PAGE), ("c", KEY, 3 * PAGE), ("c", "/not_there", PAGE)):
        with pytest.raises(ServeError):
            regions.register(name, key, 0, size)
    assert table.told == [f"add a 0 {2 * PAGE} of {2 * PAGE}", f"add b {PAGE} 8 of {2 * PAGE}"]
    table.told.clear()
    regions.unregister("a")
    regions.register("c", KEY, 0, PAGE)
    regions.unregister()
    assert table.told == ["remove a", f"add c 0 {PAGE} of {2 * PAGE}", "remove b", "remove c"]


def test_registering_keeps_no_file_of_what_it_refuses(regions: SharedMemoryRegions) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for offset, size in ((0, 3 * PAGE), (1, 8), (0, 0)):
        with pytest.raises(ServeError):
            regions.register("s", KEY, offset, size)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert [region.name for region in regions.status()] == ["r"]


@pytest.mark.parametrize("slashes", ["", "/", "///"])
def test_slashes_in_front_of_a_key_do_not_count(shared_object: Path, slashes: str) -> None:
    regions = SharedMemoryRegions()
    key = slashes + KEY.lstrip("/")
    regions.register("r", key, PAGE, PAGE)
    assert regions.status("r") == [RegisteredRegion("r", key, PAGE, PAGE)]


_AROUND = pytest.param("../shm" + KEY, id="../shm/KEY")


@pytest.mark.parametrize("key", ["a/b", _AROUND, "..", ".", "a\0b", "\ud800", "x" * 300])
def test_keys_that_are_no_object_open_nothing(regions: SharedMemoryRegions, key: str) -> None:
    with pytest.raises(ServeError) as caught:
        regions.register("s", key, 0, 8)
    assert caught.value.status is StatusCode.INTERNAL


def test_links_pipes_and_folders_are_no_objects(regions: SharedMemoryRegions, tmp_path: Path) -> None:
    link, pipe, folder = (Path(f"/dev/shm{KEY}_{kind}") for kind in ("link", "pipe", "folder"))
    (tmp_path / "secret").write_bytes(bytes(PAGE))
    link.symlink_to(tmp_path / "secret")
    os.mkfifo(pipe)
    folder.mkdir()
    try:
        for path in (link, pipe, folder):
            with pytest.raises(ServeError, match="Unable to open shared memory region"):
                regions.register("s", "/" + path.name, 0, 8)
    finally:
        link.unlink()
        pipe.unlink()
        folder.rmdir()


def test_several_names_may_share_an_object(regions: SharedMemoryRegions) -> None:
    regions.register("again", KEY, 0, PAGE)
    regions.memory(SharedMemoryReference("again", 0, 2))[:] = b"hi"
    assert bytes(regions.memory(SharedMemoryReference("r", 0, 2))) == b"hi"
    regions.unregister()
    assert regions.status() == []
