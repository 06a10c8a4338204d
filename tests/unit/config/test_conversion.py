import pytest
from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.config.conversion import converts_integers, is_convertible
from npuserve.core.dtype import Dtype
from npuserve.core.errors import ServeError


def config(backend: str, given: str | None = None) -> ModelConfig:
    config = ModelConfig(name="m", backend=backend)
    if given is not None:
        config.parameters["convert_integers"].string_value = given
    return config


@pytest.mark.parametrize(
    ("backend", "given", "converts"),
    [
        ("ascend", None, True),
        ("ascend", "on", True),
        ("ascend", "off", False),
        ("identity", None, False),
        ("onnxruntime", "on", True),
    ],
)
def test_models_of_an_npu_convert_unless_told_otherwise(backend: str, given: str | None, converts: bool) -> None:
    asked = config(backend, given)
    assert converts_integers(asked) is converts
    assert ("convert_integers" in asked.parameters) is (given is not None)


@pytest.mark.parametrize("given", ["", "true", "On"])
def test_the_switch_has_two_positions(given: str) -> None:
    with pytest.raises(ServeError, match=f"'convert_integers' must be 'on' or 'off', got '{given}'"):
        converts_integers(config("ascend", given))


def test_two_dtypes_are_convertible() -> None:
    pairs = {(given, wanted) for given in Dtype for wanted in Dtype if is_convertible(given, wanted)}
    both = (Dtype.INT32, Dtype.INT64)
    assert pairs == {(given, wanted) for given in both for wanted in both}
