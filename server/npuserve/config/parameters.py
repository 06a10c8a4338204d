"""Reads a config's `parameters`, which are texts, and finds keys that are misspelt."""

import math
from difflib import get_close_matches

from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.core.errors import ServeError, invalid

BUCKET_PADDING = "bucket_padding."
"""What stands before the name of an input."""

CHECK_FINITE = "check_finite"
"""The parameter that makes answers with NaN or infinity in them failures."""

KNOWN = (
    "admission_max_wait_us",
    "adaptive_delay_p99_us",
    "bucket_detect_padding",
    "bucket_mask",
    "bucket_max_overtaken",
    "buckets",
    CHECK_FINITE,
    "convert_integers",
    "device_weight",
    "enable_mem_arena",
    "enable_mem_pattern",
    "execute_delay_ms",
    "execute_timeout_ms",
    "execution_mode",
    "EXECUTION_ENV_PATH",
    "gears",
    "golden_action",
    "golden_max_abs_error",
    "golden_min_cosine",
    "inter_op_thread_count",
    "intra_op_thread_count",
    "share_session_between_instances",
    "stage_timing",
    "statistics",
)
"""The keys that the server or one of its backends reads."""

_SIMILAR = 0.85
_LARGEST = 2**40
"""Microseconds of twelve days: in nanoseconds it still fits in 64 bits."""


def text_of(config: ModelConfig, key: str) -> str:
    """Return what a parameter says; "" if it is not given."""
    return config.parameters[key].string_value if key in config.parameters else ""


def is_on(config: ModelConfig, key: str, *, default: bool) -> bool:
    """Return whether a parameter is `on`. Raises ServeError: INVALID_ARGUMENT unless it is `on` or `off`."""
    return choice(config, key, ("on", "off"), default="on" if default else "off") == "on"


def choice(config: ModelConfig, key: str, allowed: tuple[str, ...], *, default: str) -> str:
    """Return a parameter that has one of these values. Raises ServeError: INVALID_ARGUMENT for another."""
    if key not in config.parameters:
        return default
    text = text_of(config, key)
    if text not in allowed:
        quoted = [f"'{each}'" for each in allowed]
        raise wrong(config, key, f"must be {', '.join(quoted[:-1])} or {quoted[-1]}, got '{text}'")
    return text


def whole_number(config: ModelConfig, key: str, *, default: int = 0) -> int:
    """Return a parameter that counts. Raises ServeError: INVALID_ARGUMENT unless it is in 0 to 2^40."""
    if key not in config.parameters:
        return default
    text = text_of(config, key)
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(_LARGEST)) and int(text) <= _LARGEST):
        raise wrong(config, key, f"must be a whole number in 0 to {_LARGEST}, got '{text}'")
    return int(text)


def number(config: ModelConfig, key: str) -> float:
    """Return a parameter that is a number. Raises ServeError: INVALID_ARGUMENT for other texts and for infinity."""
    text = text_of(config, key)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise wrong(config, key, f"must be a number, got '{text}'")
    return value


def wrong(config: ModelConfig, key: str, reason: str) -> ServeError:
    """Return the error for a parameter. reason: what is wrong with it and what would be right."""
    return invalid(f"model '{config.name}': parameter '{key}' {reason}")


def misspelt_parameters(config: ModelConfig) -> list[tuple[str, str]]:
    """Return keys that nothing reads, each with the one it looks like: models may have any other."""
    found: list[tuple[str, str]] = []
    for key in sorted(config.parameters):
        if key in KNOWN or key.startswith(BUCKET_PADDING):
            continue
        stem, dot, name = key.partition(".")
        known = [BUCKET_PADDING.removesuffix(".")] if dot else KNOWN
        for meant in get_close_matches(stem.lower(), known, n=1, cutoff=_SIMILAR):
            found.append((key, meant + dot + name))
    return found
