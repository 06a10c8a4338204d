"""Shared memory that devices copy inputs from by themselves."""

import asyncio
import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from npuserve import _engine

_log = logging.getLogger(__name__)


class PinnedRegions:
    """Registers regions of shared memory with the devices that models are on. Used on the event loop.

    Until a region is registered, and where a driver refuses to, its tensors are copied by the host as all others are.
    A region that is removed is taken from the devices when no request on them uses it any more; until then it stays
    mapped.
    """

    def __init__(self) -> None:
        self._regions: dict[str, memoryview] = {}
        self._runtime: _engine.Runtime | None = None
        self._devices: set[int] = set()
        # Registering blocks while pages are pinned, unregistering until requests have ended: one thread, so that each
        # region's turn comes in order.
        self._worker: ThreadPoolExecutor | None = None

    def __repr__(self) -> str:
        return f"<PinnedRegions regions={len(self._regions)} devices={sorted(self._devices)}>"

    def add(self, name: str, file: int, offset: int, memory: memoryview) -> None:
        """Register a region; `memory` is writable and starts at a page."""
        self._regions[name] = memory
        self._register(name, memory, self._devices)

    def remove(self, name: str) -> None:
        """Take a region, which need not be there, from the devices."""
        memory = self._regions.pop(name, None)
        if memory is None or self._worker is None or self._runtime is None:
            return
        for device in self._devices:
            self._worker.submit(_unpin, self._runtime, device, name, memory)

    def follow(self, runtime: _engine.Runtime, devices: Iterable[int]) -> None:
        """Register the regions with devices that models are on from now on."""
        if self._worker is None:
            self._runtime, self._worker = runtime, ThreadPoolExecutor(1, thread_name_prefix="pinned_regions")
        added = set(devices) - self._devices
        self._devices |= added
        for name, memory in self._regions.items():
            self._register(name, memory, added)

    async def close(self) -> None:
        """Wait for what is under way and let go of the runtime, which takes the regions from the devices."""
        worker, self._worker, self._runtime = self._worker, None, None
        self._devices.clear()
        if worker is not None:
            await asyncio.to_thread(worker.shutdown)

    def _register(self, name: str, memory: memoryview, devices: Iterable[int]) -> None:
        if self._worker is not None and self._runtime is not None:
            for device in devices:
                self._worker.submit(_pin, self._runtime, device, name, memory)


def _pin(runtime: _engine.Runtime, device: int, name: str, memory: memoryview) -> None:
    try:
        if runtime.pin(device, memory):
            _log.debug("device %d reads shared memory region '%s' by itself", device, name)
    except (_engine.AclError, MemoryError) as error:
        _log.info("device %d does not read shared memory region '%s' by itself: %s", device, name, error)


def _unpin(runtime: _engine.Runtime, device: int, name: str, memory: memoryview) -> None:
    try:
        runtime.unpin(device, memory)
    except _engine.AclError as error:
        _log.warning("device %d keeps shared memory region '%s': %s", device, name, error)
