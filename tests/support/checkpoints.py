"""Small checkpoints with random weights, as Hugging Face writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad", "very", "film", "a", "the", "was", "it", "paris", "in")


def write_tokenizer(path: Path) -> None:
    """A tokenizer of a dozen words, which puts [CLS] and [SEP] around a text, or around each of a pair."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    tokenizer.save(str(path))


def write_checkpoint(
    folder: Path, task: str = "classification", labels: tuple[str, ...] = ("bad", "so", "good")
) -> Path:
    """A BERT of one layer for a task, with its tokenizer."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertForTokenClassification
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
        initializer_range=0.5,
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
    )
    kind = BertForTokenClassification if task == "token_classification" else BertForSequenceClassification
    kind(config).save_pretrained(folder)
    write_tokenizer(folder / "tokenizer.json")
    return folder


def write_dataset(path: Path, *rows: Mapping[str, object]) -> Path:
    """A labelled set, a line a row."""
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path
