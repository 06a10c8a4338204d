"""Which models take INT64 for INT32 and the other way round: the rule that loading, Python and native code share."""

from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.core.dtype import Dtype
from npuserve.core.errors import invalid

_CONVERTED = frozenset({Dtype.INT32, Dtype.INT64})


def converts_integers(config: ModelConfig) -> bool:
    """Say whether a model converts: its parameter `convert_integers`, which is "on" for backend `ascend` if not given.

    Raises ServeError (INVALID_ARGUMENT) if the parameter is neither "on" nor "off".
    """
    default = "on" if config.backend == "ascend" else "off"
    given = config.parameters["convert_integers"].string_value if "convert_integers" in config.parameters else default
    if given not in ("on", "off"):
        raise invalid(f"model '{config.name}': parameter 'convert_integers' must be 'on' or 'off', got '{given}'")
    return given == "on"


def is_convertible(given: Dtype, wanted: Dtype) -> bool:
    """Say whether a model that converts takes a tensor of one dtype for one of the other: INT32 and INT64 alone."""
    return given in _CONVERTED and wanted in _CONVERTED
