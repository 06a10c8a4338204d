"""Reads `config.pbtxt`, a ModelConfig in protobuf text form, and the JSON form that clients send.

protobuf's own parser does the work; its errors are rewritten into one sentence form: file, line, column, what
was found, what was expected. Fields that ModelConfig does not have are errors, as in Triton.
"""

import difflib
import errno
import re
from collections.abc import Callable
from pathlib import Path

from google.protobuf import json_format, text_format

from npuserve._proto import POOL
from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.core.errors import ServeError, invalid
from npuserve.core.status import StatusCode

MAX_BYTES = 16 << 20
"""Of a config. The parser takes about a second for 2 MB; the largest that people write have some tens of KB."""


def read_model_config(path: Path) -> ModelConfig:
    """Read and parse a file. Raises ServeError: INVALID_ARGUMENT (its content), INTERNAL (it cannot be read)."""
    try:
        # A pipe or a device would be read without end.
        if path.exists() and not path.is_file():
            raise OSError(errno.EINVAL, "Not a regular file")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        message = f"failed to open text file for read {path}: {error.strerror}"
        raise ServeError(StatusCode.INTERNAL, message) from error
    _check_size(len(content), str(path))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = _position(content[: error.start])
        found = f"byte 0x{content[error.start]:02x}"
        raise invalid(_sentence(path, line, column, found, "UTF-8 text")) from error
    return parse_model_config(text, path)


def parse_model_config(text: str, path: Path) -> ModelConfig:
    """Parse the text form. `path` only names the source in errors. Raises ServeError: INVALID_ARGUMENT."""
    config = ModelConfig()
    try:
        text_format.Parse(text, config, descriptor_pool=POOL)
    except text_format.ParseError as error:
        raise invalid(_rewritten(error, text, path)) from error
    return config


def parse_model_config_json(text: str) -> ModelConfig:
    """Parse the JSON form, with the field names of either case. Raises ServeError: INVALID_ARGUMENT."""
    _check_size(len(text), "the model config's JSON")
    config = ModelConfig()
    try:
        json_format.Parse(text, config, descriptor_pool=POOL)
    except (json_format.ParseError, ValueError, RecursionError) as error:
        raise invalid(f"failed to parse the model config's JSON: {error}") from error
    return config


def _check_size(size: int, source: str) -> None:
    if size > MAX_BYTES:
        raise invalid(f"failed to read {source}: a model config may have at most {MAX_BYTES} bytes")


def _position(before: bytes) -> tuple[int, int]:
    """Return line and column, from 1, of what follows `before`."""
    return before.count(b"\n") + 1, len(before) - (before.rfind(b"\n") + 1) + 1


def _sentence(path: Path, line: int, column: int, found: str, expected: str) -> str:
    return f"failed to read text proto from {path}: line {line}, column {column}: found {found}, expected {expected}"


def _rewritten(error: text_format.ParseError, text: str, path: Path) -> str:
    line, column = error.GetLine() or 1, error.GetColumn() or 1
    lines = text.split("\n")
    source = lines[line - 1] if line <= len(lines) else ""
    # The parser's text is `line:column : 'source line': complaint`; some complaints come without the source line.
    message = re.sub(r"^\d+:\d+ : ", "", str(error))
    if message == 'Expected "}".' or message.startswith("'': "):
        # The text ended; the parser reports the token before, if any.
        line, column = _position(text.rstrip().encode())
        source = ""
    complaint = message.removeprefix(f"'{source}': ").removeprefix("'': ")
    token = _token(source, column)
    for pattern, rewrite in _COMPLAINTS:
        if match := re.search(pattern, complaint):
            return _sentence(path, line, column, *rewrite(match, token))
    return _sentence(path, line, column, token, f"valid text ({complaint})")


def _token(source: str, column: int) -> str:
    """Return the token at `column` of a line, quoted for a message."""
    match = re.match(r"\"[^\"]*\"?|'[^']*'?|[\w.+-]+|\S", source[column - 1 :])
    return f"'{match.group()}'" if match else "the end of the file"


def _unknown_field(match: re.Match[str], token: str) -> tuple[str, str]:
    message, field = match.groups()
    fields = list(POOL.FindMessageTypeByName(message).fields_by_name)
    return f"'{field}'", f"a field of {_short(message)}{_choices(field, fields)}"


def _unknown_value(match: re.Match[str], token: str) -> tuple[str, str]:
    enum, value = match.groups()
    names = list(POOL.FindEnumTypeByName(enum).values_by_name)
    return f"'{value}'", f"a value of {_short(enum)}{_choices(value, names)}"


def _choices(wrong: str, names: list[str]) -> str:
    near = difflib.get_close_matches(wrong, names, n=1)
    return f" (did you mean '{near[0]}'?)" if near else f" (one of {', '.join(names)})"


def _short(full_name: str) -> str:
    return full_name.removeprefix("inference.")


def _expecting(expected: str) -> Callable[[re.Match[str], str], tuple[str, str]]:
    return lambda match, token: (token, expected)


_COMPLAINTS: list[tuple[str, Callable[[re.Match[str], str], tuple[str, str]]]] = [
    (r'Message type "([\w.]+)" has no field named "([^"]*)"', _unknown_field),
    (r'Enum type "([\w.]+)" has no value (?:named|with number) (\S+?)\.?$', _unknown_value),
    (r"Couldn't parse integer", _expecting("an integer")),
    (r"Couldn't parse float", _expecting("a number")),
    (r"Value out of range", _expecting("an integer within the range of the field's type")),
    (r"Expected string", _expecting("a quoted string")),
    (r'Expected "true" or "false"', _expecting("'true' or 'false'")),
    (r"String missing ending quote", _expecting("a closing quote on the same line")),
    (r"Expected identifier or number", _expecting("a field name")),
    (r'Expected "(.)"', lambda match, token: (token, f"'{match[1]}'")),
    (
        r'Field "(\w+)" is specified along with field "(\w+)"',
        lambda match, token: (f"'{match[1]}' besides '{match[2]}'", "only one of the two"),
    ),
    (r'should not have multiple "(\w+)" fields', lambda match, token: (f"a second '{match[1]}'", "it only once")),
    (
        r'Message type "([\w.]+)" does not have extensions',
        lambda match, token: ("an extension", f"a field of {_short(match[1])}"),
    ),
]
