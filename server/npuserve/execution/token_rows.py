"""Texts to rows of token ids by one `tokenizer.json`, cut and padded as a model's config says."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.core.dtype import Dtype
from npuserve.core.errors import ServeError, invalid
from npuserve.core.signature import TensorSpec
from npuserve.core.status import StatusCode

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

TOKEN_FIELDS: dict[str, Callable[[Encoding], Sequence[int]]] = {
    "input_ids": lambda encoding: encoding.ids,
    "attention_mask": lambda encoding: encoding.attention_mask,
    "token_type_ids": lambda encoding: encoding.type_ids,
}
"""The outputs that a tokenizer can have."""

_TYPE_CODES = {Dtype.INT64: "q", Dtype.INT32: "i"}
_ONES = {Dtype.INT64: b"\1" + bytes(7), Dtype.INT32: b"\1" + bytes(3)}
_MAX_TEXT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenOptions:
    """What a config asks of its tokenizer.

    max_tokens: the most of a text, special tokens included; 0: as many as there are. truncates: whether a longer text
    is cut, else it is refused. length: to which rows are padded; 0: the longest of the request.
    max_text_bytes: the longest text that is looked at.
    """

    max_tokens: int = 0
    truncates: bool = True
    adds_special_tokens: bool = True
    length: int = 0
    max_text_bytes: int = _MAX_TEXT_BYTES


def token_options(config: ModelConfig, outputs: Sequence[TensorSpec]) -> TokenOptions:
    """Return the options of a completed config. Raises ServeError (INVALID_ARGUMENT)."""
    lengths = {spec.shape[-1] for spec in outputs}
    if len(lengths) != 1:
        raise invalid(f"model '{config.name}': the outputs must have the same dims, one size that all texts share")
    fixed = max(0, lengths.pop())
    most = _whole(config, "max_tokens", 0)
    if fixed and most > fixed:
        raise invalid(f"model '{config.name}': parameter 'max_tokens' is {most}, but the outputs have {fixed} places")
    padding = _choice(config, "padding", ("longest", "max_tokens"))
    if padding == "max_tokens" and not (most or fixed):
        raise invalid(f"model '{config.name}': parameter 'padding' is 'max_tokens', which is not given")
    return TokenOptions(
        max_tokens=most or fixed,
        truncates=_choice(config, "truncation", ("on", "off")) == "on",
        adds_special_tokens=_choice(config, "special_tokens", ("on", "off")) == "on",
        length=fixed or (most if padding == "max_tokens" else 0),
        max_text_bytes=_whole(config, "max_text_bytes", _MAX_TEXT_BYTES),
    )


class TokenRows:
    """Encodes texts. Used on any thread.

    path: the tokenizer's file. Raises ServeError: UNAVAILABLE if the package is not installed, INVALID_ARGUMENT if the
    file is none of a tokenizer.
    """

    def __init__(self, model: str, path: Path, options: TokenOptions) -> None:
        self._model = model
        self._options = options
        self._tokenizer = _tokenizer(path)
        padding = self._tokenizer.padding or {}
        self._pads = {
            "input_ids": padding.get("pad_id", self._tokenizer.token_to_id("[PAD]") or 0),
            "attention_mask": 0,
            "token_type_ids": padding.get("pad_type_id", 0),
        }
        self._pads_left = padding.get("direction") == "left"
        # Rows are padded here, where the outputs' memory is made: not each of five lists for every text.
        self._tokenizer.no_padding()
        if not options.truncates:
            self._tokenizer.no_truncation()
        elif options.max_tokens:
            self._tokenizer.enable_truncation(options.max_tokens)

    def encode(self, elements: Sequence[bytes], *, together: bool) -> list[Encoding]:
        """Return the tokens of UTF-8 texts. together: whether several share the processors; their threads may wait.

        Raises ServeError (INVALID_ARGUMENT), naming the text.
        """
        texts = [self._text(index, element) for index, element in enumerate(elements)]
        special = self._options.adds_special_tokens
        if together:
            encodings = self._tokenizer.encode_batch(texts, add_special_tokens=special)
        else:
            encodings = [self._tokenizer.encode(text, add_special_tokens=special) for text in texts]
        most = self._options.max_tokens
        if most and not self._options.truncates:
            for index, encoding in enumerate(encodings):
                if len(encoding) > most:
                    raise invalid(
                        f"text {index} has {len(encoding)} tokens, but model '{self._model}' takes at most {most}: "
                        "send a shorter text, or have the model's parameter 'truncation' be 'on'"
                    )
        return encodings

    def length(self, encodings: Sequence[Encoding]) -> int:
        """Return the length of the rows that these texts make."""
        return self._options.length or max(map(len, encodings), default=0)

    def rows(self, name: str, dtype: Dtype, encodings: Sequence[Encoding], length: int) -> bytes:
        """Return the content of an output, `[texts, length]`."""
        if len(encodings) == 1 and len(encodings[0]) == length:
            if name == "attention_mask":
                return _ONES[dtype] * length
            return array(_TYPE_CODES[dtype], TOKEN_FIELDS[name](encodings[0])).tobytes()
        filled = np.full((len(encodings), length), self._pads[name], dtype.numpy)
        for row, encoding in zip(filled, encodings, strict=True):
            values = TOKEN_FIELDS[name](encoding)
            row[length - len(values) if self._pads_left else 0 :][: len(values)] = values
        return filled.tobytes()

    def _text(self, index: int, element: bytes) -> str:
        if len(element) > self._options.max_text_bytes:
            raise invalid(
                f"text {index} has {len(element)} bytes, but model '{self._model}' takes at most "
                f"{self._options.max_text_bytes} (its parameter 'max_text_bytes')"
            )
        try:
            return element.decode()
        except UnicodeDecodeError as error:
            raise invalid(
                f"text {index} of the request to model '{self._model}' is not UTF-8: {error.reason} at byte "
                f"{error.start}"
            ) from error


def _tokenizer(path: Path) -> Tokenizer:
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise ServeError(
            StatusCode.UNAVAILABLE,
            "backend 'tokenizer' needs the package tokenizers, which is not installed: pip install npuserve[tokenizer]",
        ) from error
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:
        # What the package raises has no root of its own.
        raise invalid(f"failed to load '{path}': {error}") from error


def _whole(config: ModelConfig, key: str, default: int) -> int:
    """Return a parameter that is a whole number from 1."""
    if key not in config.parameters:
        return default
    text = config.parameters[key].string_value
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise invalid(f"model '{config.name}': parameter '{key}' must be a whole number from 1, got '{text}'")
    return int(text)


def _choice(config: ModelConfig, key: str, choices: tuple[str, str]) -> str:
    """Return a parameter that is one of two words, the first if it is not given."""
    text = config.parameters[key].string_value if key in config.parameters else choices[0]
    if text not in choices:
        raise invalid(
            f"model '{config.name}': parameter '{key}' must be '{choices[0]}' or '{choices[1]}', got '{text}'"
        )
    return text
