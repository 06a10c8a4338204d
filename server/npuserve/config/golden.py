"""What a config says of the golden answers of its model: how near to them the model must come."""

from dataclasses import dataclass

from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.config.parameters import choice, number, wrong

MIN_COSINE = "golden_min_cosine"
MAX_ABS_ERROR = "golden_max_abs_error"
ACTION = "golden_action"
DEFAULT_MIN_COSINE = 0.999


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenOptions:
    """How near each output must come, and what happens if one does not: `fail`, `warn`; `off` looks at none.

    max_abs_error: None: any.
    """

    action: str = "fail"
    min_cosine: float = DEFAULT_MIN_COSINE
    max_abs_error: float | None = None


def golden_options(config: ModelConfig) -> GoldenOptions:
    """Return a config's options. Raises ServeError: INVALID_ARGUMENT for parameters that are wrong."""
    min_cosine, max_abs_error = DEFAULT_MIN_COSINE, None
    if MIN_COSINE in config.parameters:
        min_cosine = number(config, MIN_COSINE)
        if not -1 <= min_cosine <= 1:
            raise wrong(config, MIN_COSINE, f"must be in -1 to 1, got '{min_cosine:g}'")
    if MAX_ABS_ERROR in config.parameters:
        max_abs_error = number(config, MAX_ABS_ERROR)
        if max_abs_error < 0:
            raise wrong(config, MAX_ABS_ERROR, f"must be 0 or more, got '{max_abs_error:g}'")
    action = choice(config, ACTION, ("fail", "warn", "off"), default="fail")
    return GoldenOptions(action=action, min_cosine=min_cosine, max_abs_error=max_abs_error)


def golden_settings(config: ModelConfig) -> list[str]:
    """Return the parameters that say how golden answers are compared, of those that are given."""
    return [key for key in (MIN_COSINE, MAX_ABS_ERROR, ACTION) if key in config.parameters]
