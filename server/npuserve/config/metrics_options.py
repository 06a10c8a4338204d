"""What the metrics tell: `--metrics-config` and its companions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from npuserve.config.require import require

DEFAULT_QUANTILES = ((0.5, 0.05), (0.9, 0.01), (0.95, 0.001), (0.99, 0.001), (0.999, 0.001))
_SWITCHES = ("counter_latencies", "summary_latencies", "histogram_latencies")


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsOptions:
    """Which families there are. Raises ValueError, naming the flag.

    counter_latencies: cumulative durations. summary_latencies: quantiles of them; quantiles: which, each with its
    error. histogram_latencies: times to the first response.
    devices, host: whether accelerators and the host are told of. interval_ms: how often they are asked.
    """

    counter_latencies: bool = True
    summary_latencies: bool = False
    histogram_latencies: bool = False
    quantiles: tuple[tuple[float, float], ...] = DEFAULT_QUANTILES
    devices: bool = True
    host: bool = True
    interval_ms: int = 2000

    def __post_init__(self) -> None:
        require(self.interval_ms >= 1, f"--metrics-interval-ms must be 1 or more, got {self.interval_ms}")
        for quantile, error in self.quantiles:
            require(
                0 <= quantile <= 1 and 0 <= error <= 1,
                f"--metrics-config summary_quantiles must be pairs in range [0, 1], got {quantile}:{error}",
            )


def parse_metrics_options(
    texts: Sequence[str], *, devices: bool = True, host: bool = True, interval_ms: int = 2000
) -> MetricsOptions:
    """Read the values of the repeated flag `--metrics-config`: `KEY=VALUE`. Raises ValueError."""
    options = MetricsOptions(devices=devices, host=host, interval_ms=interval_ms)
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"--metrics-config must be of the form KEY=VALUE, got '{text}'")
        if key == "summary_quantiles":
            options = replace(options, quantiles=_quantiles(value))
        elif key in _SWITCHES:
            options = replace(options, **{key: _switch(key, value)})  # type: ignore[arg-type]  # all are booleans
        else:
            known = ", ".join((*_SWITCHES, "summary_quantiles"))
            raise ValueError(f"--metrics-config: unknown setting '{key}', expected one of {known}")
    return options


def _switch(key: str, value: str) -> bool:
    match value.lower():
        case "true" | "on" | "1":
            return True
        case "false" | "off" | "0":
            return False
    raise ValueError(f"--metrics-config {key} must be true or false, got '{value}'")


def _quantiles(text: str) -> tuple[tuple[float, float], ...]:
    try:
        pairs = [pair.split(":") for pair in text.split(",")]
        return tuple((float(quantile), float(error)) for quantile, error in pairs)
    except ValueError as error:
        raise ValueError(
            f"--metrics-config summary_quantiles must be of the form QUANTILE:ERROR[,QUANTILE:ERROR...], got '{text}'"
        ) from error
