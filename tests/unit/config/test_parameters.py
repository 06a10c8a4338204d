import pytest
from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.config.parameters import is_on, misspelt_parameters, number, whole_number
from npuserve.core.errors import ServeError
from npuserve.core.status import StatusCode


def config(**parameters: str) -> ModelConfig:
    given = ModelConfig(name="m")
    for key, text in parameters.items():
        given.parameters[key].string_value = text
    return given


def test_what_is_not_given_has_its_default() -> None:
    assert is_on(config(), "k", default=True)
    assert not is_on(config(), "k", default=False)
    assert whole_number(config(), "k", default=8) == 8


@pytest.mark.parametrize("text", ["0", "7", "1099511627776"])
def test_whole_numbers_are_read(text: str) -> None:
    assert whole_number(config(k=text), "k") == int(text)


@pytest.mark.parametrize("text", ["", "-1", "+1", "1.0", "0x10", "1_000", "\u0661", "1099511627777", "9" * 5000])
def test_what_is_no_whole_number_is_refused(text: str) -> None:
    with pytest.raises(ServeError) as caught:
        whole_number(config(k=text), "k")
    assert caught.value.status is StatusCode.INVALID_ARGUMENT
    assert caught.value.message.startswith(
        "model 'm': parameter 'k' must be a whole number in 0 to 1099511627776, got "
    )


@pytest.mark.parametrize("text", ["", "inf", "nan", "-inf", "1e999", "two"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ServeError, match=f"model 'm': parameter 'k' must be a number, got '{text}'"):
        number(config(k=text), "k")


@pytest.mark.parametrize("text", ["On", "true", "", "1"])
def test_a_switch_is_on_or_off(text: str) -> None:
    with pytest.raises(ServeError, match=f"model 'm': parameter 'k' must be 'on' or 'off', got '{text}'"):
        is_on(config(k=text), "k", default=False)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("bucket_masks", "bucket_mask"),
        ("bucket", "buckets"),
        ("Buckets", "buckets"),
        ("bucket_max_overtake", "bucket_max_overtaken"),
        ("admission_max_wait_ms", "admission_max_wait_us"),
        ("bucket_paddings.input_ids", "bucket_padding.input_ids"),
    ],
)
def test_a_key_that_looks_like_one_of_ours_is_found(given: str, meant: str) -> None:
    assert misspelt_parameters(config(**{given: "1"})) == [(given, meant)]


@pytest.mark.parametrize("key", ["bucket_mask", "bucket_padding.input_ids", "gears", "tokenizer", "session.x", "path"])
def test_known_keys_and_those_of_models_are_no_mistakes(key: str) -> None:
    assert misspelt_parameters(config(**{key: "1"})) == []
