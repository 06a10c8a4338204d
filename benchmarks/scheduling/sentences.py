"""The requests: the example's held-out sentences of both corpora, as token ids of their true lengths."""

import random
import sys
from pathlib import Path

from tokenizers import Tokenizer

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "bert_small"
sys.path.insert(0, str(EXAMPLE))

from corpora import ner_corpus, sentiment_corpus  # noqa: E402  # the example's modules import each other by these names
from models import unpack_encoder  # noqa: E402

LONGEST = 128
SENTENCES = 1024
_SEED = 20261123


def token_ids(work: Path) -> list[list[int]]:
    """Return the sentences of both corpora in a fixed random order, cut at LONGEST tokens. work: of the example."""
    tokenizer = Tokenizer.from_file(str(unpack_encoder(work) / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(LONGEST)
    tagged = [" ".join(sentence.words) for sentence in ner_corpus().held_out]
    rated = [sentence.text for sentence in sentiment_corpus().held_out[: SENTENCES - len(tagged)]]
    texts = tagged + rated
    random.Random(_SEED).shuffle(texts)
    return [encoding.ids for encoding in tokenizer.encode_batch(texts)]
