"""What loaded models take of the memory of devices."""

import logging
import threading
from weakref import WeakKeyDictionary

from npuserve import _engine
from npuserve.observability.exposition import Family, Sample

_log = logging.getLogger(__name__)
_MIB = 2**20


class ModelMemory:
    """Knows the native models, for as long as they are loaded. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._models: WeakKeyDictionary[_engine.Model, tuple[str, str]] = WeakKeyDictionary()

    def add(self, name: str, version: str, model: _engine.Model) -> None:
        """Count a model that was loaded, and log what it takes."""
        with self._lock:
            self._models[model] = (name, version)
        for use in model.memory:
            parts = ", ".join(f"{kind} {-(-size // _MIB)}" for kind, size in _kinds(use))
            _log.info(
                "model '%s' version %s takes on device %d, for %d instance%s, in MiB: %s",
                *(name, version, use.device, use.instances, "" if use.instances == 1 else "s", parts),
            )

    def families(self) -> list[Family]:
        """Return the gauge of what each model takes; a closed one takes nothing."""
        with self._lock:
            models = list(self._models.items())
        samples = [
            Sample({"model": name, "version": version, "device": str(use.device), "kind": kind}, size)
            for model, (name, version) in models
            for use in model.memory
            for kind, size in _kinds(use)
        ]
        about = "Memory that a model takes on a device, by kind; pinned is on the host, in bytes"
        return [Family(name="npu_model_memory_bytes", kind="gauge", help=about, samples=samples)]


def _kinds(use: _engine.MemoryUse) -> tuple[tuple[str, int], ...]:
    return (
        ("weights", use.weight_bytes),
        ("work", use.work_bytes),
        ("buffers", use.buffer_bytes),
        ("pinned", use.pinned_bytes),
    )
