"""Flags whose values have an inner form, as `onnxruntime,default-max-batch-size=8`."""

from collections.abc import Mapping, Sequence


def backend_settings(texts: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
    """Read the values of `--backend-config`: by backend ("" for all), its settings by key. Raises ValueError."""
    settings: dict[str, dict[str, str]] = {}
    for text in texts:
        backend, comma, setting = text.rpartition(",")
        key, equals, value = setting.partition("=")
        if not (key and equals) or (comma and "," in backend):
            raise ValueError(f"--backend-config must be of the form BACKEND,KEY=VALUE, got '{text}'")
        settings.setdefault(backend, {})[key] = value
    return settings


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
