"""The three models for `npuserve migrate`, each as a function without arguments: `source.module = "sources:NAME"`."""

from pathlib import Path

from export import load_model
from models import TextModel

# Where `make demo`, too, unpacks the encoder.
WORK = Path(__file__).resolve().parents[2] / "build" / "demo"


def sentiment() -> TextModel:
    """Return the sentiment classifier."""
    return load_model("sentiment", WORK)


def ner() -> TextModel:
    """Return the tagger."""
    return load_model("ner", WORK)


def bert_small() -> TextModel:
    """Return BERT-Small with its seeded weights."""
    return load_model("bert_small", WORK)
