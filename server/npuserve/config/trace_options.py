"""What is traced from the start: `--trace-config` and the older flags that it replaces."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from npuserve.config.require import require

LEVELS = ("OFF", "TIMESTAMPS", "TENSORS")
MODES = ("triton", "opentelemetry")
DEFAULT_URL = "http://localhost:4318/v1/traces"
_LARGEST_RATE = 2**32 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceOptions:
    """Which requests are traced, and where to. Raises ValueError, naming the flag.

    levels: `TIMESTAMPS` and `TENSORS`; none is `OFF`. rate: every so many-th request. count: how many in all, -1
    without end. mode: one of MODES.
    file, log_frequency: of mode `triton`: where traces go, "" nowhere; if the frequency is not 0, files
    `<file>.<index>` of so many traces.
    url, resource: of mode `opentelemetry`: where spans go (OTLP over HTTP), and the attributes of the server.
    """

    levels: tuple[str, ...] = ()
    rate: int = 1000
    count: int = -1
    mode: str = "triton"
    file: str = ""
    log_frequency: int = 0
    url: str = DEFAULT_URL
    resource: tuple[tuple[str, str], ...] = field(default=(("service.name", "npuserve"),))

    def __post_init__(self) -> None:
        for level in self.levels:
            require(level in LEVELS[1:], f"--trace-config level must be one of {', '.join(LEVELS)}, got '{level}'")
        require(
            1 <= self.rate <= _LARGEST_RATE,
            f"--trace-config rate must be in range [1, {_LARGEST_RATE}], got {self.rate}",
        )
        require(self.count >= -1, f"--trace-config count must be -1 or more, got {self.count}")
        require(self.mode in MODES, f"--trace-config mode must be one of {', '.join(MODES)}, got '{self.mode}'")
        require(
            self.log_frequency >= 0, f"--trace-config triton,log-frequency must be 0 or more, got {self.log_frequency}"
        )
        require(
            self.url.startswith(("http://", "https://")),
            f"--trace-config opentelemetry,url must be an http or https URL, got '{self.url}'",
        )


def parse_trace_options(texts: Sequence[str]) -> TraceOptions:
    """Read the values of the repeated flag `--trace-config`: `[MODE,]KEY=VALUE`. Raises ValueError."""
    options = TraceOptions()
    for text in texts:
        mode, comma, setting = text.partition(",")
        if not comma or "=" in mode:
            mode, setting = "", text
        key, equals, value = setting.partition("=")
        if not equals or not key or mode not in ("", *MODES):
            raise ValueError(f"--trace-config must be of the form [MODE,]KEY=VALUE, got '{text}'")
        options = _with(options, mode, key, value)
    return options


def _with(options: TraceOptions, mode: str, key: str, value: str) -> TraceOptions:
    match mode, key:
        case "", "level":
            if value == "OFF":
                return replace(options, levels=())
            return replace(options, levels=tuple(dict.fromkeys((*options.levels, value))))
        case "", "rate" | "count":
            return replace(options, **{key: _number(key, value)})  # type: ignore[arg-type]  # both are integers
        case "", "mode":
            return replace(options, mode=value)
        case "triton", "file":
            return replace(options, file=value)
        case "triton", "log-frequency":
            return replace(options, log_frequency=_number(key, value))
        case "opentelemetry", "url":
            return replace(options, url=value)
        case "opentelemetry", "resource":
            name, _, attribute = value.partition("=")
            return replace(options, resource=tuple((dict(options.resource) | {name: attribute}).items()))
        case "opentelemetry", name if name.startswith("bsp_"):
            # The tuning of Triton's exporter; the SDK here reads its own environment variables.
            return options
    raise ValueError(f"--trace-config: unknown setting '{key}'" + (f" of mode '{mode}'" if mode else ""))


def _number(key: str, value: str) -> int:
    try:
        return int(value)
    except ValueError as error:
        raise ValueError(f"--trace-config {key} must be an integer, got '{value}'") from error
