"""Reads JSON text as Triton's parser does: its leniencies, its refusals, its bounds."""

import json
import re

from npuserve.core.errors import ServeError, invalid
from npuserve.core.status import StatusCode

MAX_DEPTH = 100
_CODEC = ("utf-8", "surrogateescape")  # bytes that are not UTF-8 pass through, as in Triton
_BEGINNINGS = ("true", "false", "null", "NaN", "Infinity", "-Infinity")
# A pair of surrogates, a lone one, or any other escape.
_ESCAPES = re.compile(r"\\(?:u[dD][89abAB]\w\w\\u[dD][c-fC-F]\w\w|(u[dD][89a-fA-F]\w\w)|.)", re.DOTALL)
_EQUALLY_NAMED = (
    ("Expecting property name", "Missing a name for object member."),
    ("Expecting ':' delimiter", "Missing a colon after a name of object member."),
    ("Invalid \\escape", "Invalid escape character in string."),
    ("Invalid control character", "Invalid escape character in string."),
    ("Invalid \\uXXXX escape", "Incorrect hex digit after \\u escape in string."),
    ("Extra data", "The document root must not be followed by other values."),
)


def to_text(content: bytes | memoryview) -> str:
    """Decode UTF-8; bytes that are none come back by `to_bytes`."""
    return str(content, *_CODEC)


def to_bytes(text: str) -> bytes:
    """Undo `to_text`."""
    return text.encode(*_CODEC)


def parse_json(content: bytes | memoryview) -> object:
    """Return the value: None, bool, int, float, str, list or dict.

    Raises ServeError: INTERNAL for malformed text (as Triton), INVALID_ARGUMENT beyond MAX_DEPTH.
    """
    text = to_text(content)
    try:
        value: object = json.loads(text)
    except json.JSONDecodeError as error:
        raise _malformed(text, *_refusal(text, error)) from error
    except ValueError as error:
        # Python reads no integers of more than some thousand digits.
        raise _malformed(text, "Number too big to be stored in double.", 0) from error
    except RecursionError as error:
        raise _too_deep() from error
    if "\\u" in text:
        _check_surrogates(text)
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _check_depth(value)
    return value


def _check_depth(value: object) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node if isinstance(node, list) else ())
            if isinstance(child, list | dict)
        ]
        if not level:
            return
    raise _too_deep()


def _too_deep() -> ServeError:
    return invalid(f"JSON nesting depth exceeds maximum allowed limit ({MAX_DEPTH})")


def _check_surrogates(text: str) -> None:
    for match in _ESCAPES.finditer(text):
        if match[1]:
            raise _malformed(text, "The surrogate pair in string is invalid.", match.start())


def _malformed(text: str, complaint: str, position: int) -> ServeError:
    offset = len(to_bytes(text[:position]))
    return ServeError(StatusCode.INTERNAL, f"failed to parse the request JSON buffer: {complaint} at {offset}")


def _refusal(text: str, error: json.JSONDecodeError) -> tuple[str, int]:
    """Return the sentence of Triton's parser, and where it stops."""
    for theirs, ours in _EQUALLY_NAMED:
        if error.msg.startswith(theirs):
            return ours, error.pos
    if error.msg.startswith("Unterminated string"):
        return "Missing a closing quotation mark in string.", len(text)
    if error.msg.startswith("Expecting ',' delimiter"):
        return _missing_comma(text, error.pos)
    if not text.strip():
        return "The document is empty.", 0
    rest = text[error.pos :]
    return "Invalid value.", error.pos + max(_shared_beginning(rest, beginning) for beginning in _BEGINNINGS)


def _missing_comma(text: str, position: int) -> tuple[str, int]:
    if text[position - 1].isdigit() and text[position : position + 1] == ".":
        return "Miss fraction part in number.", position + 1
    if text[position - 1].isdigit() and text[position : position + 1] in ("e", "E"):
        return "Miss exponent in number.", position + 1 + (text[position + 1 : position + 2] in ("+", "-"))
    if _innermost_bracket(text[:position]) == "{":
        return "Missing a comma or '}' after an object member.", position
    return "Missing a comma or ']' after an array element.", position


def _innermost_bracket(text: str) -> str:
    open_brackets: list[str] = []
    for bracket in re.findall(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', text, re.DOTALL):
        if bracket in ("[", "{"):
            open_brackets.append(bracket)
        elif bracket in ("]", "}"):
            open_brackets.pop()
    return open_brackets[-1] if open_brackets else ""


def _shared_beginning(text: str, other: str) -> int:
    length = 0
    while text[length : length + 1] and text[length] == other[length : length + 1]:
        length += 1
    return length
