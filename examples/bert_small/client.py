"""The client's side: text to token ids, a call with the stock Triton client, logits to labels and entities."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np
import tritonclient.grpc as triton
from corpora import SENTIMENTS
from scoring import Logits, Span, softmax, spans
from tokens import Encoded, TextEncoder, padded, word_tags


@dataclass(frozen=True, slots=True)
class Label:
    """A sentence's label, its probability, and how long the call took."""

    name: str
    score: float
    latency_ms: float


@dataclass(frozen=True, slots=True)
class Entities:
    """A sentence's words and entities, the lowest probability among the entities' words, how long the call took."""

    words: tuple[str, ...]
    spans: tuple[Span, ...]
    score: float
    latency_ms: float

    def __str__(self) -> str:
        """Return the entities as text, with their kinds."""
        named = (f"{' '.join(self.words[span.start : span.end])} [{span.kind}]" for span in self.spans)
        return ", ".join(named) or "-"


@dataclass(frozen=True, slots=True)
class TextAnswer:
    """What an ensemble made of a text: a label, or its entities as text and kind, and how long the call took."""

    found: tuple[str, ...]
    latency_ms: float


class DemoClient:
    """Calls the demo's models, with token ids or with text; one call at a time. A context manager."""

    def __init__(self, url: str, tokens: TextEncoder, tags: Sequence[str]) -> None:
        self._client = triton.InferenceServerClient(url)
        self._tokens = tokens
        self._tags = tuple(tags)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._client.close()

    def classify(self, text: str) -> Label:
        """Return the sentiment of a text. Raises InferenceServerException."""
        logits, latency_ms = self._call("sentiment", self._tokens.sentence(text))
        share = softmax(logits)
        return Label(SENTIMENTS[int(share.argmax())], float(share.max()), latency_ms)

    def tag(self, words: Sequence[str]) -> Entities:
        """Return the entities among words. Raises InferenceServerException."""
        encoded = self._tokens.words(words)
        logits, latency_ms = self._call("ner", encoded)
        found = spans(word_tags(logits, encoded, self._tags))
        best = softmax(logits).max(-1)
        inside = [best[encoded.word_starts[word]] for span in found for word in range(span.start, span.end)]
        return Entities(tuple(words), tuple(found), float(min(inside, default=1.0)), latency_ms)

    def classify_on_server(self, text: str) -> TextAnswer:
        """Return the sentiment of a text that the server tokenizes. Raises InferenceServerException."""
        result, latency_ms = self._call_text("sentiment_text", text)
        return TextAnswer((result.as_numpy("label")[0, 0].decode(),), latency_ms)

    def tag_on_server(self, text: str) -> TextAnswer:
        """Return the entities of a text that the server cuts into words. Raises InferenceServerException."""
        result, latency_ms = self._call_text("ner_text", text)
        entities = json.loads(result.as_numpy("entities")[0, 0])
        return TextAnswer(tuple(f"{entity['text']} [{entity['kind']}]" for entity in entities), latency_ms)

    def executions(self, model: str) -> tuple[int, int]:
        """Return how many requests and how many executions the server counts for a model."""
        counted = self._client.get_inference_statistics(model).model_stats[0]
        return counted.inference_count, counted.execution_count

    def _call_text(self, model: str, text: str) -> tuple[triton.InferResult, float]:
        tensor = triton.InferInput("text", [1, 1], "BYTES")
        tensor.set_data_from_numpy(np.array([[text.encode()]], dtype=object))
        started = time.perf_counter()
        result = self._client.infer(model, [tensor])
        return result, (time.perf_counter() - started) * 1e3

    def _call(self, model: str, sentence: Encoded) -> tuple[Logits, float]:
        started = time.perf_counter()
        result = self._client.infer(model, request_inputs([sentence]), outputs=[triton.InferRequestedOutput("logits")])
        latency_ms = (time.perf_counter() - started) * 1e3
        logits: Logits = result.as_numpy("logits")[0]
        return logits, latency_ms


def request_inputs(sentences: Sequence[Encoded]) -> list[triton.InferInput]:
    """Return the inputs of one request that carries these sentences, one a row."""
    inputs = []
    for name, array in zip(("input_ids", "attention_mask"), padded(sentences), strict=True):
        tensor = triton.InferInput(name, list(array.shape), "INT64")
        tensor.set_data_from_numpy(array)
        inputs.append(tensor)
    return inputs
