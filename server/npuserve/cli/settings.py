"""Flags whose values have an inner form, as `onnxruntime,default-max-batch-size=8`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_DEFAULT_MAX_BATCH_SIZE = "default-max-batch-size"


@dataclass(frozen=True, slots=True)
class BackendSetting:
    """A value of `--backend-config`; the backend "" is every one."""

    backend: str
    key: str
    value: str

    @property
    def has_effect(self) -> bool:
        """Whether the server acts on it."""
        return self.key == _DEFAULT_MAX_BATCH_SIZE


def backend_settings(texts: Iterable[str]) -> list[BackendSetting]:
    """Read the values of `--backend-config`. Raises ValueError."""
    settings = []
    for text in texts:
        backend, comma, setting = text.rpartition(",")
        key, equals, value = setting.partition("=")
        if not (key and equals) or (comma and "," in backend):
            raise ValueError(f"--backend-config must be of the form BACKEND,KEY=VALUE, got '{text}'")
        settings.append(BackendSetting(backend, key, value))
    return settings


def default_max_batch_sizes(settings: Iterable[BackendSetting]) -> dict[str, int]:
    """Return, by backend, the batch size of models that can batch and do not say how far. Raises ValueError."""
    sizes: dict[str, int] = {}
    for setting in settings:
        if setting.has_effect:
            if not setting.value.isdigit():
                raise ValueError(f"--backend-config {setting.key} must be 0 or more, got '{setting.value}'")
            sizes[setting.backend] = int(setting.value)
    return sizes


def cache_bytes(texts: Sequence[str]) -> int:
    """Read the values of `--cache-config`; only the local cache and its size are known. Raises ValueError."""
    size = 0
    for text in texts:
        cache, _, setting = text.partition(",")
        key, _, value = setting.partition("=")
        if cache != "local" or key != "size" or not value.isdigit():
            raise ValueError(f"--cache-config must be of the form local,size=BYTES, got '{text}'")
        size = int(value)
    return size
