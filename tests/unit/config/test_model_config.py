import os
from collections.abc import Callable
from pathlib import Path

import pytest
from npuserve.config.model_config import MAX_BYTES, parse_model_config, parse_model_config_json, read_model_config
from npuserve.core.errors import ServeError
from npuserve.core.status import StatusCode

PATH = Path("/models/bert/config.pbtxt")


def complaint(text: str) -> str:
    """What the parser says of a text, without the name of the file."""
    with pytest.raises(ServeError) as caught:
        parse_model_config(text, PATH)
    assert caught.value.status is StatusCode.INVALID_ARGUMENT
    prefix = f"failed to read text proto from {PATH}: "
    assert caught.value.message.startswith(prefix)
    return caught.value.message.removeprefix(prefix)


def test_the_forms_that_occur_in_the_wild_are_read_alike() -> None:
    brackets = """
        # a comment
        name: "bert", max_batch_size: 8;
        input [ { name: "a" data_type: TYPE_INT64 dims: [ -1 ] }, { name: 'b' data_type: TYPE_FP16 dims: [ 2, 3 ] } ]
        dynamic_batching { }
    """
    repeated = """
        name: "bert"
        max_batch_size: 8
        input { name: "a" data_type: TYPE_INT64 dims: -1 }
        input: < name: "b"; data_type: TYPE_FP16; dims: 2; dims: 3 >
        dynamic_batching: { }
    """
    first, second = parse_model_config(brackets, PATH), parse_model_config(repeated, PATH)
    assert first == second
    assert [list(tensor.dims) for tensor in first.input] == [[-1], [2, 3]]
    assert first.WhichOneof("scheduling_choice") == "dynamic_batching"


def test_maps_and_nested_messages_are_read() -> None:
    config = parse_model_config(
        'parameters { key: "k" value { string_value: "v" } } version_policy: { specific { versions: [1, 3] } }', PATH
    )
    assert config.parameters["k"].string_value == "v"
    assert list(config.version_policy.specific.versions) == [1, 3]


def test_an_empty_file_is_an_empty_config() -> None:
    assert not parse_model_config("# nothing\n", PATH).ListFields()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            'name: "a"\n  max_batch: 3',
            "line 2, column 3: found 'max_batch', expected a field of ModelConfig (did you mean 'max_batch_size'?)",
        ),
        (
            "version_policy { newest { } }",
            "line 1, column 18: found 'newest', expected a field of ModelVersionPolicy (one of latest, all, specific)",
        ),
        ('max_batch_size: "x"', "line 1, column 17: found '\"x\"', expected an integer"),
        ("max_batch_size: 1.5", "line 1, column 17: found '1.5', expected an integer"),
        (
            "max_batch_size: 99999999999",
            "line 1, column 17: found '99999999999', expected an integer within the range of the field's type",
        ),
        ("max_batch_size 8", "line 1, column 16: found '8', expected ':'"),
        (
            "max_batch_size: 4\nmax_batch_size: 5",
            "line 2, column 17: found a second 'max_batch_size', expected it only once",
        ),
        (
            "instance_group { kind: KIND_NPU }",
            "line 1, column 24: found 'KIND_NPU', expected a value of ModelInstanceGroup.Kind "
            "(did you mean 'KIND_GPU'?)",
        ),
        ("name: abc", "line 1, column 7: found 'abc', expected a quoted string"),
        ('name: "abc', "line 1, column 7: found '\"abc', expected a closing quote on the same line"),
        ("name:", "line 1, column 6: found the end of the file, expected a quoted string"),
        ('input {\n  name: "a"\n', "line 2, column 12: found the end of the file, expected '}'"),
        ("}", "line 1, column 1: found '}', expected a field name"),
        ('input [ {name:"a"} {name:"b"} ]', "line 1, column 20: found '{', expected ','"),
        ("input { dims: [1,] }", "line 1, column 18: found ']', expected an integer"),
        ("response_cache { enable: maybe }", "line 1, column 26: found 'maybe', expected 'true' or 'false'"),
        (
            "sequence_batching { direct { minimum_slot_utilization: x } }",
            "line 1, column 56: found 'x', expected a number",
        ),
        (
            "dynamic_batching { } sequence_batching { }",
            "line 1, column 22: found 'sequence_batching' besides 'dynamic_batching', expected only one of the two",
        ),
        ("[foo.bar]: 3", "line 1, column 6: found an extension, expected a field of ModelConfig"),
        ("\x00", "line 1, column 1: found '\x00', expected a field name"),
    ],
)
def test_an_error_says_where_what_was_found_and_what_was_expected(text: str, expected: str) -> None:
    assert complaint(text) == expected


@pytest.mark.parametrize("cut", range(1, 100))
def test_a_text_cut_anywhere_is_read_or_refused_in_a_sentence(cut: int) -> None:
    text = 'name: "bert"\nmax_batch_size: 8\ninput [ { name: "a", data_type: TYPE_INT64, dims: [ -1, 16 ] } ]\n# end'
    try:
        config = parse_model_config(text[:cut], PATH)
    except ServeError as error:
        assert ": found " in error.message and ", expected " in error.message
    else:
        assert config.max_batch_size in (0, 8)


def test_text_that_is_not_utf_8_is_placed_by_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "config.pbtxt"
    path.write_bytes(b'name: "a"\nplatform: "\xff"')
    with pytest.raises(ServeError, match="line 2, column 12: found byte 0xff, expected UTF-8 text") as caught:
        read_model_config(path)
    assert str(path) in caught.value.message


def test_a_file_that_cannot_be_read_names_itself_and_the_reason(tmp_path: Path) -> None:
    with pytest.raises(ServeError) as caught:
        read_model_config(tmp_path / "config.pbtxt")
    assert caught.value.status is StatusCode.INTERNAL
    assert caught.value.message == (
        f"failed to open text file for read {tmp_path / 'config.pbtxt'}: No such file or directory"
    )


def test_a_config_without_end_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "config.pbtxt"
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(ServeError, match="a model config may have at most 16777216 bytes") as caught:
        read_model_config(path)
    assert caught.value.status is StatusCode.INVALID_ARGUMENT
    with pytest.raises(ServeError, match="a model config may have at most 16777216 bytes"):
        parse_model_config_json(" " * (MAX_BYTES + 1))


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "nowhere", "circle"])
def test_a_config_that_is_no_file_is_not_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "config.pbtxt"
    make: dict[str, Callable[[], object]] = {
        "pipe": lambda: os.mkfifo(path),
        "device": lambda: path.symlink_to("/dev/zero"),
        "folder": path.mkdir,
        "nowhere": lambda: path.symlink_to("/no/such/file"),
        "circle": lambda: path.symlink_to(path.name),
    }
    make[kind]()
    with pytest.raises(ServeError, match="failed to open text file for read") as caught:
        read_model_config(path)
    assert caught.value.status is StatusCode.INTERNAL
