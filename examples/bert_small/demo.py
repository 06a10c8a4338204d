"""The whole way in one command: PyTorch, ONNX, OM, server, stock Triton client, answers.

What is built is kept under build/demo; a second run goes straight to the server.
"""

import argparse
import os
import statistics
import sys
import textwrap
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# Everything is on this machine; without this the tokenizer and the model loader would ask the network.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from client import DemoClient, Entities, Label
from commands import CommandError
from convert import Compilation, ConvertError, build_repository
from corpora import MissingPackageError, TaggedSentence, ner_corpus, sentiment_corpus
from export import ExportError, labels_of
from models import unpack_encoder
from progress import track
from scoring import accuracy, entity_f1, spans
from serving import Server, ServerError
from text_models import text_model, write_text_model
from tokens import TextEncoder, split_words
from tritonclient.utils import InferenceServerException

TEXT_WIDTH = 84
INDENT = " " * 29


@dataclass(frozen=True, slots=True)
class Question:
    """A sentence to ask about; `label` and `tags` are the corpus's own, None for a user's sentence."""

    text: str
    words: tuple[str, ...]
    label: str | None = None
    tags: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the models said; None where a model was not asked."""

    question: Question
    sentiment: Label | None
    entities: Entities | None


def corpus_questions(count: int) -> tuple[list[Question], list[Question]]:
    """Return held-out sentences: with a label for the classifier, with tags for the tagger."""
    labelled = [Question(s.text, (), label=s.label) for s in sentiment_corpus().held_out[:count]]
    tagged = [Question(" ".join(s.words), s.words, tags=s.tags) for s in _with_entities(count)]
    return labelled, tagged


def ask(
    client: DemoClient, questions: Sequence[Question], *, sentiment: bool, entities: bool, title: str
) -> list[Answer]:
    """Send the questions one after another."""
    return [
        Answer(
            question,
            client.classify(question.text) if sentiment else None,
            client.tag(question.words) if entities else None,
        )
        for question in track(questions, title)
    ]


def print_answers(answers: Sequence[Answer]) -> None:
    """Print a line a model and sentence: the answer, its score, its latency, the sentence, what was expected."""
    print(f"\n{'answer':<12} {'score':>6} {'ms':>7}  sentence")
    print(f"{'-' * 12} {'-' * 6} {'-' * 7}  {'-' * TEXT_WIDTH}")
    for answer in answers:
        question = answer.question
        if answer.sentiment is not None:
            label = answer.sentiment
            print_row(label.name, f"{label.score:.3f}", label.latency_ms, question.text)
            if question.label not in (None, label.name):
                print(f"{INDENT}✗ the corpus says {question.label}")
        if answer.entities is not None:
            found = answer.entities
            count = f"{len(found.spans)} entit{'y' if len(found.spans) == 1 else 'ies'}"
            print_row(count, f"{found.score:.3f}" if found.spans else "-", found.latency_ms, question.text)
            if found.spans:
                print(f"{INDENT}→ {found}")
            if question.tags is not None and tuple(spans(question.tags)) != found.spans:
                print(f"{INDENT}✗ the corpus says {Entities(found.words, tuple(spans(question.tags)), 1.0, 0.0)}")


def print_row(answer: str, score: str, latency_ms: float, text: str) -> None:
    """Print an answer and its sentence, the sentence in as many lines as it needs."""
    lines = textwrap.wrap(text, TEXT_WIDTH)
    print(f"{answer:<12} {score:>6} {latency_ms:>7.2f}  {lines[0]}")
    for line in lines[1:]:
        print(f"{INDENT}{line}")


def print_statistics(client: DemoClient, answers: Sequence[Answer], seconds: float) -> None:
    """Print agreement with the corpus, latency and the server's own counts."""
    print("\nstatistics")
    labelled = [(a.question.label, a.sentiment.name) for a in answers if a.sentiment and a.question.label]
    if labelled:
        right = accuracy([want for want, _ in labelled], [got for _, got in labelled])
        print(f"  sentiment   {right:.0%} of {len(labelled)} held-out sentences as the corpus labels them")
    tagged = [(a.question.tags, a.entities) for a in answers if a.entities and a.question.tags]
    if tagged:
        score = entity_f1([tags for tags, _ in tagged], [_tags_of(entities) for _, entities in tagged])
        print(f"  entities    F1 {score.f1:.2f} on {len(tagged)} held-out sentences (kind, start and end must agree)")
    latencies = sorted(part.latency_ms for a in answers for part in (a.sentiment, a.entities) if part is not None)
    p99 = latencies[min(len(latencies) - 1, round(0.99 * len(latencies)))]
    print(f"  latency     p50 {statistics.median(latencies):.2f} ms, p99 {p99:.2f} ms, one request in flight")
    print(f"  throughput  {len(latencies) / seconds:.0f} requests/s")
    for model in ("sentiment", "ner"):
        requests, executions = client.executions(model)
        print(f"  server      {model}: {requests} rows in {executions} executions")


def ask_with_text(client: DemoClient, answers: Sequence[Answer]) -> list[tuple[bool, float]]:
    """Ask the ensembles the same, with text: the server tokenizes. Return whether each agrees, and its milliseconds."""
    compared: list[tuple[bool, float]] = []
    for answer in track(answers, "asking with text"):
        text = answer.question.text
        if answer.sentiment is not None:
            label = client.classify_on_server(text)
            compared.append((label.found == (answer.sentiment.name,), label.latency_ms))
        if answer.entities is not None:
            # The client knows the corpus's words; the server cuts them itself, so it is asked about those it would cut.
            told = client.tag(split_words(text))
            expected = tuple(f"{' '.join(told.words[span.start : span.end])} [{span.kind}]" for span in told.spans)
            entities = client.tag_on_server(text)
            compared.append((entities.found == expected, entities.latency_ms))
    return compared


def print_text_statistics(compared: Sequence[tuple[bool, float]]) -> None:
    """Print how the ensembles' answers compare with those to token ids."""
    latencies = [latency_ms for _, latency_ms in compared]
    same = sum(agrees for agrees, _ in compared)
    print(
        f"  text in     {same} of {len(compared)} answers of the ensembles, which tokenize on the server, agree; "
        f"p50 {statistics.median(latencies):.2f} ms"
    )


def run(arguments: argparse.Namespace) -> None:
    """Build what is missing, serve it, ask, print, stop."""
    started = time.monotonic()
    own = own_sentences(arguments)
    work: Path = arguments.work
    work.mkdir(parents=True, exist_ok=True)
    build_repository(work, work / "repository", ("sentiment", "ner"), Compilation())
    encoder = unpack_encoder(work)
    write_text_models(work, encoder)
    tokens = TextEncoder(encoder)
    with Server([work / "repository", work / "text_repository"], work / "server.log") as server:
        server.wait_ready(models=8)
        with DemoClient(server.url, tokens, ner_corpus().tags) as client:
            asked = time.monotonic()
            if own:
                answers = ask(client, own, sentiment=True, entities=True, title="asking both models")
            else:
                labelled, tagged = corpus_questions(arguments.count)
                answers = ask(client, labelled, sentiment=True, entities=False, title="asking sentiment")
                answers += ask(client, tagged, sentiment=False, entities=True, title="asking ner")
            seconds = time.monotonic() - asked
            print_answers(answers)
            print_statistics(client, answers, seconds)
            print_text_statistics(ask_with_text(client, answers))
        server.stop()
    print(f"  server      stopped by SIGTERM, exit code 0; {time.monotonic() - started:.1f} s in all")


def write_text_models(work: Path, encoder: Path) -> None:
    """Put the models of text into a repository of their own, beside that of their encoders."""
    for name in ("sentiment", "ner"):
        write_text_model(
            work / "text_repository",
            text_model(name, len(labels_of(name))),
            tokenizer=encoder / "tokenizer.json",
            labels=work / "repository" / name / "labels.txt",
            max_batch_size=max(Compilation().batches),
        )


def own_sentences(arguments: argparse.Namespace) -> list[Question]:
    """Return the user's sentences, from --text and --sentences."""
    texts = list(arguments.text)
    if arguments.sentences is not None:
        texts += arguments.sentences.read_text(encoding="utf-8").splitlines()
    return [Question(text.strip(), tuple(split_words(text))) for text in texts if split_words(text)]


def main() -> int:
    """Run the demo; 1 and one clear sentence if something is missing or fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", action="append", default=[], help="a sentence of your own; may be repeated")
    parser.add_argument("--sentences", type=Path, help="a UTF-8 file with a sentence a line")
    parser.add_argument("--count", type=int, default=12, help="held-out sentences a model; default 12")
    parser.add_argument("--work", type=Path, default=Path("build/demo"), help="what is built; default build/demo")
    arguments = parser.parse_args()
    if arguments.count < 1:
        parser.error("--count must be at least 1")
    try:
        run(arguments)
    except (CommandError, ConvertError, ExportError, MissingPackageError, ServerError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except InferenceServerException as error:
        print(f"demo: the server answered: {error}", file=sys.stderr)
        return 1
    return 0


def _with_entities(count: int) -> list[TaggedSentence]:
    """Return the first held-out sentences in which there is something to find."""
    return [s for s in ner_corpus().held_out if any(tag != "O" for tag in s.tags)][:count]


def _tags_of(entities: Entities) -> list[str]:
    tags = ["O"] * len(entities.words)
    for span in entities.spans:
        for index in range(span.start, span.end):
            tags[index] = f"{'B' if index == span.start else 'I'}-{span.kind}"
    return tags


if __name__ == "__main__":
    sys.exit(main())
