import pytest
from google.protobuf import text_format
from npuserve._proto import POOL
from npuserve._proto.model_config_pb2 import ModelVersionPolicy
from npuserve.core.errors import ServeError
from npuserve.core.status import StatusCode
from npuserve.repository.versions import missing_versions, parse_version, select_versions


def policy(text: str) -> ModelVersionPolicy:
    message = ModelVersionPolicy()
    text_format.Parse(text, message, descriptor_pool=POOL)
    return message


@pytest.mark.parametrize(
    ("text", "chosen", "missing"),
    [
        ("", (10,), ()),
        ("latest { }", (), ()),
        ("latest { num_versions: 1 }", (10,), ()),
        ("latest { num_versions: 2 }", (3, 10), ()),
        ("latest { num_versions: 9 }", (1, 3, 10), ()),
        ("all { }", (1, 3, 10), ()),
        ("specific { versions: [ 10, 1 ] }", (1, 10), ()),
        ("specific { versions: [ 3, 4, 2 ] }", (3,), (2, 4)),
    ],
)
def test_the_policy_chooses_among_what_is_there(text: str, chosen: tuple[int, ...], missing: tuple[int, ...]) -> None:
    available = [3, 10, 1]
    assert select_versions(policy(text), available) == chosen
    assert missing_versions(policy(text), available) == missing


def test_nothing_is_chosen_where_nothing_is() -> None:
    assert select_versions(policy(""), []) == ()


# What Triton 2.51 was seen to answer.
@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("", None),
        ("3", 3),
        ("03", 3),
        ("3x", 3),
        (" 3", 3),
        ("+3", 3),
        ("3.7", 3),
        ("0", 0),
        ("9223372036854775807", 9223372036854775807),
    ],
)
def test_a_version_is_read_with_the_rules_of_c(text: str, version: int | None) -> None:
    assert parse_version(text) == version


@pytest.mark.parametrize("text", ["abc", "x3", "-", " ", "99999999999999999999", "٣"])
def test_what_is_no_number_is_refused_in_tritons_words(text: str) -> None:
    with pytest.raises(ServeError) as caught:
        parse_version(text)
    assert (caught.value.status, caught.value.message) == (
        StatusCode.INVALID_ARGUMENT,
        f"failed to get model version from specified version string '{text}' (details: stol), version should be an "
        "integral value > 0",
    )


@pytest.mark.parametrize("text", ["-1", "-2", "-7x"])
def test_a_negative_version_is_refused_in_tritons_words(text: str) -> None:
    with pytest.raises(ServeError) as caught:
        parse_version(text)
    assert caught.value.message == (
        f"invalid model version specified '{text}' , version should be an integral value > 0"
    )
