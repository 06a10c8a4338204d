"""Text to token ids on the server, for Triton's python backend: `text` in, `input_ids` and `attention_mask` out.

With the parameter `cuts_words` the text is cut into words first, and `word_starts` says at which position each begins.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import triton_python_backend_utils as pb_utils
from tokens import Encoded, TextEncoder, padded, split_words


class TritonPythonModel:
    """The tokenizer of the encoder; its file lies beside this one."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the tokenizer."""
        parameters = json.loads(args["model_config"])["parameters"]
        self._cuts_words = parameters.get("cuts_words", {}).get("string_value") == "true"
        self._tokens = TextEncoder(Path(__file__).parent)

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Tokenize all requests of a batch, padded to the longest of them, so that they can stay together."""
        texts = [pb_utils.get_input_tensor_by_name(request, "text").as_numpy().ravel() for request in requests]
        encoded = [self._encoded(text.decode("utf-8", "replace")) for rows in texts for text in rows]
        ids, mask = padded(encoded)
        responses = []
        row = 0
        for rows in texts:
            here = slice(row, row + len(rows))
            outputs = [pb_utils.Tensor("input_ids", ids[here]), pb_utils.Tensor("attention_mask", mask[here])]
            if self._cuts_words:
                outputs.append(pb_utils.Tensor("word_starts", word_starts(encoded[here])))
            responses.append(pb_utils.InferenceResponse(output_tensors=outputs))
            row += len(rows)
        return responses

    def _encoded(self, text: str) -> Encoded:
        return self._tokens.words(split_words(text)) if self._cuts_words else self._tokens.sentence(text)


def word_starts(sentences: Sequence[Encoded]) -> npt.NDArray[np.int64]:
    """Return `[rows, most words]`; -1 for words without a token, and behind the last one."""
    most = max(1, *(len(sentence.word_starts) for sentence in sentences))
    starts = np.full((len(sentences), most), -1, dtype=np.int64)
    for row, sentence in enumerate(sentences):
        starts[row, : len(sentence.word_starts)] = sentence.word_starts
    return starts
