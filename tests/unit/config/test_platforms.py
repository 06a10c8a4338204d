import pytest
from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.config.platforms import identify_backend
from npuserve.core.errors import ServeError


@pytest.mark.parametrize(
    ("given", "files", "backend", "platform", "filename"),
    [
        ({}, {"model.om"}, "ascend", "ascend_om", "model.om"),
        ({}, {"readme.txt", "model.onnx"}, "onnxruntime", "onnxruntime_onnx", "model.onnx"),
        ({}, {"model.py"}, "python", "", "model.py"),
        ({}, {"tokenizer.json"}, "tokenizer", "", "tokenizer.json"),
        ({"default_model_filename": "bert.om"}, {"bert.om"}, "ascend", "ascend_om", "bert.om"),
        ({"backend": "ascend"}, set(), "ascend", "ascend_om", "model.om"),
        ({"platform": "ascend_om"}, set(), "ascend", "ascend_om", "model.om"),
        ({"platform": "onnxruntime_onnx"}, {"model.om"}, "onnxruntime", "onnxruntime_onnx", "model.onnx"),
        ({"backend": "mine"}, set(), "mine", "", ""),
        ({"platform": "ensemble"}, set(), "", "ensemble", ""),
    ],
)
def test_what_is_not_said_follows_from_the_rest(
    given: dict[str, str], files: set[str], backend: str, platform: str, filename: str
) -> None:
    config = ModelConfig(name="m", **given)  # type: ignore[arg-type]  # all of them are text fields
    identify_backend(config, files)
    assert (config.backend, config.platform, config.default_model_filename) == (backend, platform, filename)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"platform": "foo"}, "unexpected platform type 'foo' for m"),
        (
            {"platform": "tensorrt_plan", "backend": "ascend"},
            "unexpected 'platform' and 'backend' pair, got:tensorrt_plan, ascend",
        ),
        ({"platform": "x", "backend": "mine"}, "unexpected 'platform' and 'backend' pair, got:x, mine"),
        (
            {},
            "Invalid model name: Could not determine backend for model 'm' with no backend in model configuration. "
            "Expected model name of the form 'model.<backend_name>'.",
        ),
    ],
)
def test_what_nothing_runs_is_refused_in_tritons_words(given: dict[str, str], message: str) -> None:
    config = ModelConfig(name="m", **given)  # type: ignore[arg-type]  # all of them are text fields
    with pytest.raises(ServeError) as caught:
        identify_backend(config, {"notes.txt"})
    assert caught.value.message == message
