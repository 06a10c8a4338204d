"""Which requests are traced: the settings, of all models and of single ones, and the count of what is sampled."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from npuserve.core.errors import invalid

FREQUENCY_KEYS = ("trace_rate", "trace_count", "log_frequency")
_LEVELS = ("TIMESTAMPS", "TENSORS")
_FIELDS = {"trace_rate": "rate", "trace_count": "count", "log_frequency": "log_frequency"}
_RANGES = {
    "trace_rate": (0, 2**32 - 1),
    "trace_count": (-(2**31), 2**31 - 1),
    "log_frequency": (0, 2**32 - 1),
}
_LEADING_INTEGER = re.compile(r"\s*([+-]?[0-9]+)")
_MAX_DIGITS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceSetting:
    """What is traced: every `rate`-th request, `count` in all (-1: without end), if there are levels.

    log_frequency: if it is not 0, so many traces go into a file of their own.
    """

    levels: tuple[str, ...] = ()
    rate: int = 1000
    count: int = -1
    log_frequency: int = 0


class _Sampler:
    """Counts the requests under one setting."""

    def __init__(self, setting: TraceSetting) -> None:
        self.setting = setting
        self._seen = 0
        self._left = setting.count

    def take(self) -> bool:
        """Say whether to trace the next request."""
        if not self.setting.levels or self._left == 0:
            return False
        self._seen += 1
        if self._seen < self.setting.rate:
            return False
        self._seen = 0
        if self._left > 0:
            self._left -= 1
        return True


class TraceSettings:
    """The settings in force. Used on the event loop only.

    start: what was set at start. mode, file: how and where traces are written, which do not change.
    """

    def __init__(self, start: TraceSetting, *, mode: str = "triton", file: str = "") -> None:
        self._start = start
        self._mode = mode
        self._file = file
        self._global = _Sampler(start)
        self._models: dict[str, _Sampler] = {}
        # What a model has of its own, by the protocol's keys; the rest follows the global setting.
        self._own: dict[str, dict[str, object]] = {}
        self._watchers: list[Callable[[], None]] = []

    def watch(self, watcher: Callable[[], None]) -> None:
        """Call the watcher after every change; it must not raise."""
        self._watchers.append(watcher)

    @property
    def is_on(self) -> bool:
        """Whether any request may be traced."""
        return any(sampler.setting.levels for sampler in (self._global, *self._models.values()))

    def setting(self, model: str = "") -> TraceSetting:
        """Return what is in force for a model, or for those that have nothing of their own."""
        return self._models.get(model, self._global).setting

    def take(self, model: str) -> bool:
        """Count a request of a model and say whether to trace it."""
        return self._models.get(model, self._global).take()

    def described(self, model: str = "") -> dict[str, list[str]]:
        """Return what is in force under the protocol's keys, in Triton's order."""
        setting = self.setting(model)
        return {
            "trace_level": list(setting.levels) or ["OFF"],
            **{key: [str(getattr(setting, _FIELDS[key]))] for key in FREQUENCY_KEYS},
            "trace_file": [self._file],
            "trace_mode": [self._mode],
        }

    def change(self, model: str, given: Mapping[str, Sequence[str]]) -> None:
        """Change settings by the protocol's keys; unknown keys are passed over.

        An empty sequence takes the model's own setting back (of all models: to that of the start).
        Raises ServeError (INVALID_ARGUMENT), with nothing changed.
        """
        known = {key: values for key, values in given.items() if key == "trace_level" or key in _FIELDS}
        parsed = {key: _parsed(key, values) for key, values in known.items()}
        if not parsed:
            return
        self._check_file(model, parsed)
        if not model:
            cleared = {field: getattr(self._start, field) for field, value in parsed.values() if value is None}
            changed = {field: value for field, value in parsed.values() if value is not None}
            self._global = _Sampler(_replaced(self._global.setting, changed | cleared))
        else:
            own = self._own.get(model, {}) | dict(parsed.values())
            self._own[model] = {field: value for field, value in own.items() if value is not None}
        self._rebuild(model or None)
        for watcher in self._watchers:
            watcher()

    def _check_file(self, model: str, parsed: Mapping[str, tuple[str, object]]) -> None:
        """Refuse to turn on traces that go nowhere. Raises ServeError (INVALID_ARGUMENT)."""
        _, levels = parsed.get("trace_level", ("levels", self.setting(model).levels))
        if levels and self._mode == "triton" and not self._file:
            raise invalid("Attempting to set invalid trace setting :trace file name is not given")

    def _rebuild(self, only: str | None) -> None:
        for model, own in list(self._own.items()):
            if not own:
                del self._own[model]
                self._models.pop(model, None)
            elif only in (None, model):
                self._models[model] = _Sampler(_replaced(self._global.setting, own))


def _replaced(setting: TraceSetting, changes: Mapping[str, object]) -> TraceSetting:
    return replace(setting, **changes)  # type: ignore[arg-type]  # the values were made for these fields


def _parsed(key: str, values: Sequence[str]) -> tuple[str, object]:
    """Return a setting's field and value; None for one that is taken back. Raises ServeError."""
    if key == "trace_level":
        return "levels", _levels(values) if values else None
    return _FIELDS[key], _number(key, values[0]) if values else None


def _levels(values: Sequence[str]) -> tuple[str, ...]:
    if "OFF" in values and len(values) > 1:
        raise invalid("Expect only one trace level 'OFF' is specified")
    return tuple(level for level in _LEVELS if level in values)


def _number(key: str, text: str) -> int:
    """Read a number as C does: whatever follows the digits is passed over."""
    match = _LEADING_INTEGER.match(text)
    if match is None:
        raise invalid(f"Unable to parse '{key}', got: {text}")
    lowest, highest = _RANGES[key]
    value = int(match[1]) if len(match[1]) <= _MAX_DIGITS else highest + 1
    if value < -1 and key == "trace_count":
        raise invalid(f"Unable to parse 'trace_count'. Expecting value >= -1, got: {value}")
    if not lowest <= value <= highest:
        raise invalid(f"Unable to parse '{key}', value is out of range [ 0, {highest} ], got: {text}")
    if key == "trace_rate" and value == 0:
        raise invalid("Attempting to set invalid trace setting :sample rate must be non-zero")
    return value
