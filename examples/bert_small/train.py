"""Fine-tunes the two models and writes weights/ and scores.json.

The frozen layers' outputs are computed once; only the layers above them and the heads are trained. One thread and
fixed seeds make two runs on the same machine and torch release give the same weights.
"""

import argparse
import json
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from corpora import SENTIMENTS, NerCorpus, SentimentCorpus, ner_corpus, sentiment_corpus
from models import TextModel, load_trained, save_trained, sentence_model, token_model, unpack_encoder
from progress import Progress, track
from scoring import accuracy, entity_f1, macro_f1
from tokens import Encoded, TextEncoder, padded, word_tags
from torch import Tensor
from torch.nn.functional import cross_entropy

HERE = Path(__file__).resolve().parent
MODELS = ("ner", "sentiment")
IGNORED = -100
SEED = 17
BATCH = 32
# Batches are cut from shuffled pools of so many batches, sorted by length: little padding, still random.
POOL = 40


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one model is trained; `rare_weight` is the loss weight of every label but the first."""

    epochs: int
    layer_rate: float
    head_rate: float
    smoothing: float = 0.0
    rare_weight: float = 1.0
    warmup: float = 0.1
    weight_decay: float = 0.01


@dataclass(frozen=True, slots=True)
class Example:
    """A training example: hidden states `[sequence, hidden]` below the trained layers, and its target (or targets)."""

    hidden: Tensor
    target: Tensor


SENTIMENT_RECIPE = Recipe(epochs=2, layer_rate=1.5e-4, head_rate=1e-3)
# 95 words of 100 are outside any entity: the weight makes up for it. One layer, few epochs and much smoothing because a
# sharper tagger (two layers, 12 epochs at 2e-4: F1 0.48) amplifies the rounding of half precision: its logits then
# differ by up to 0.029 from float32's, this one's by less than 0.01.
NER_RECIPE = Recipe(epochs=8, layer_rate=1.5e-4, head_rate=1e-3, smoothing=0.4, rare_weight=4.0)


def batches(lengths: Sequence[int], size: int, shuffle: random.Random | None = None) -> list[list[int]]:
    """Return index batches of like lengths; without `shuffle`, in order of length."""
    order = list(range(len(lengths)))
    pool = len(order)
    if shuffle is not None:
        shuffle.shuffle(order)
        pool = size * POOL
    cut: list[list[int]] = []
    for start in range(0, len(order), pool):
        part = sorted(order[start : start + pool], key=lambda index: lengths[index])
        cut.extend(part[i : i + size] for i in range(0, len(part), size))
    if shuffle is not None:
        shuffle.shuffle(cut)
    return cut


@torch.no_grad()
def lower_states(model: TextModel, sentences: Sequence[Encoded], title: str) -> list[Tensor]:
    """Return each sentence's hidden states below the trained layers, `[sequence, hidden]`, without padding."""
    model.eval()
    states: list[Tensor] = [torch.empty(0)] * len(sentences)
    for batch in track(batches([len(s) for s in sentences], BATCH), title):
        ids, mask = padded([sentences[i] for i in batch])
        hidden = model.lower(torch.from_numpy(ids), torch.from_numpy(mask))
        for row, index in enumerate(batch):
            states[index] = hidden[row, : len(sentences[index])].clone()
    return states


def collate(examples: Sequence[Example]) -> tuple[Tensor, Tensor, Tensor]:
    """Return hidden states, mask and targets of a batch, padded to its longest."""
    longest = max(len(example.hidden) for example in examples)
    hidden = torch.zeros(len(examples), longest, examples[0].hidden.shape[-1])
    mask = torch.zeros(len(examples), longest, dtype=torch.int64)
    for row, example in enumerate(examples):
        hidden[row, : len(example.hidden)] = example.hidden
        mask[row, : len(example.hidden)] = 1
    if examples[0].target.ndim == 0:
        return hidden, mask, torch.stack([example.target for example in examples])
    targets = torch.full((len(examples), longest), IGNORED)
    for row, example in enumerate(examples):
        targets[row, : len(example.target)] = example.target
    return hidden, mask, targets


def fit(model: TextModel, examples: Sequence[Example], recipe: Recipe, title: str) -> None:
    """Train the model's upper part in place: AdamW, linear warm-up and decay, cross-entropy."""
    torch.manual_seed(SEED)
    shuffle = random.Random(SEED)
    trained = dict(model.named_parameters())
    layers = [trained[name] for name in model.trained_state() if not name.startswith("head.")]
    optimizer = torch.optim.AdamW(
        [
            {"params": layers, "lr": recipe.layer_rate},
            {"params": list(model.head.parameters()), "lr": recipe.head_rate},
        ],
        weight_decay=recipe.weight_decay,
    )
    lengths = [len(example.hidden) for example in examples]
    steps = recipe.epochs * len(batches(lengths, BATCH, random.Random(SEED)))
    warm = max(1, round(steps * recipe.warmup))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm, (steps - step) / max(1, steps - warm))
    )
    weights = class_weights(model.labels, recipe)
    model.train()
    with Progress(title, steps) as bar:
        for batch in (batch for _ in range(recipe.epochs) for batch in batches(lengths, BATCH, shuffle)):
            hidden, mask, targets = collate([examples[i] for i in batch])
            logits = model.upper(hidden, mask)
            loss = cross_entropy(
                logits.flatten(0, -2),
                targets.flatten(),
                weight=weights,
                ignore_index=IGNORED,
                label_smoothing=recipe.smoothing,
            )
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch has no annotation here
            torch.nn.utils.clip_grad_norm_([*layers, *model.head.parameters()], 1.0)
            optimizer.step()
            schedule.step()
            bar.advance(note=f"loss {loss.item():.3f}")
    model.eval()


def class_weights(labels: int, recipe: Recipe) -> Tensor | None:
    """Return the loss weight of each label, None if all weigh the same."""
    if recipe.rare_weight == 1.0:
        return None
    weights = torch.full((labels,), recipe.rare_weight)
    weights[0] = 1.0
    return weights


@torch.no_grad()
def predict(model: TextModel, sentences: Sequence[Encoded], title: str) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each sentence's index and logits, as a whole forward pass of the model gives them."""
    for batch in track(batches([len(s) for s in sentences], BATCH), title):
        ids, mask = padded([sentences[i] for i in batch])
        logits = model(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
        yield from ((index, logits[row]) for row, index in enumerate(batch))


def train_sentiment(encoder: Path, tokens: TextEncoder, corpus: SentimentCorpus, weights: Path) -> dict[str, object]:
    """Train, write and score the sentiment classifier; return its scores."""
    torch.manual_seed(SEED)
    model = sentence_model(encoder, len(SENTIMENTS))
    states = lower_states(model, [tokens.sentence(s.text) for s in corpus.train], "sentiment: frozen layers")
    targets = [torch.tensor(SENTIMENTS.index(s.label)) for s in corpus.train]
    examples = [Example(*pair) for pair in zip(states, targets, strict=True)]
    fit(model, examples, SENTIMENT_RECIPE, "sentiment: training")
    save_trained(model, weights)
    model = load_trained(sentence_model(encoder, len(SENTIMENTS)), weights)
    held_out = [tokens.sentence(s.text) for s in corpus.held_out]
    predicted = [""] * len(held_out)
    for index, logits in predict(model, held_out, "sentiment: held-out sentences"):
        predicted[index] = SENTIMENTS[int(logits.argmax())]
    expected = [s.label for s in corpus.held_out]
    return {
        "training_sentences": len(examples),
        "held_out_sentences": len(held_out),
        "accuracy": round(accuracy(expected, predicted), 4),
        "macro_f1": round(macro_f1(expected, predicted), 4),
        "majority_accuracy": round(max(expected.count(label) for label in SENTIMENTS) / len(expected), 4),
    }


def train_ner(encoder: Path, tokens: TextEncoder, corpus: NerCorpus, weights: Path) -> dict[str, object]:
    """Train, write and score the tagger; return its scores."""
    torch.manual_seed(SEED)
    model = token_model(encoder, len(corpus.tags))
    encoded = [tokens.words(s.words) for s in corpus.train]
    states = lower_states(model, encoded, "ner: frozen layers")
    examples = []
    for sentence, tokenized, hidden in zip(corpus.train, encoded, states, strict=True):
        target = torch.full((len(tokenized),), IGNORED)
        for tag, start in zip(sentence.tags, tokenized.word_starts, strict=True):
            if start >= 0:
                target[start] = corpus.tags.index(tag)
        examples.append(Example(hidden, target))
    fit(model, examples, NER_RECIPE, "ner: training")
    save_trained(model, weights)
    model = load_trained(token_model(encoder, len(corpus.tags)), weights)
    held_out = [tokens.words(s.words) for s in corpus.held_out]
    predicted: list[list[str]] = [[]] * len(held_out)
    for index, logits in predict(model, held_out, "ner: held-out sentences"):
        predicted[index] = word_tags(logits, held_out[index], corpus.tags)
    expected = [s.tags for s in corpus.held_out]
    score = entity_f1(expected, predicted)
    return {
        "training_sentences": len(examples),
        "held_out_sentences": len(held_out),
        "held_out_entities": sum(tag.startswith("B-") for tags in expected for tag in tags),
        "tags": list(corpus.tags),
        "word_accuracy": round(accuracy([t for s in expected for t in s], [t for s in predicted for t in s]), 4),
        **{f"entity_{name}": round(value, 4) for name, value in asdict(score).items()},
    }


def main() -> None:
    """Train what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS, help="which to train; default both")
    parser.add_argument("--work", type=Path, default=Path("build/demo"), help="where the encoder is unpacked")
    parser.add_argument("--output", type=Path, default=HERE / "weights", help="where the weights and scores go")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    arguments.output.mkdir(parents=True, exist_ok=True)
    arguments.work.mkdir(parents=True, exist_ok=True)
    encoder = unpack_encoder(arguments.work)
    tokens = TextEncoder(encoder)
    path = arguments.output / "scores.json"
    started = time.monotonic()
    for name in arguments.models:
        weights = arguments.output / f"{name}.safetensors"
        if name == "ner":
            score = train_ner(encoder, tokens, ner_corpus(), weights)
        else:
            score = train_sentiment(encoder, tokens, sentiment_corpus(), weights)
        scores = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**scores, name: score}, indent=2) + "\n")
        print(name, json.dumps(score, indent=2))
    print(f"{time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
