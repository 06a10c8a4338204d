"""Models of text around those of token ids: a tokenizer before, a last step behind, and the ensemble of the three.

For `sentiment` these are `sentiment_tokens`, `sentiment_label` and `sentiment_text`; for `ner`, `ner_tokens`,
`ner_entities` and `ner_text`. The Python models are written for Triton's python backend.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "server_models"

Tensors = Mapping[str, str]
"""Names of inputs or outputs to their `data_type` and `dims`."""

TEXT: Tensors = {"text": "data_type: TYPE_STRING dims: [ 1 ]"}
IDS: Tensors = {name: "data_type: TYPE_INT64 dims: [ -1 ]" for name in ("input_ids", "attention_mask")}
STARTS: Tensors = {"word_starts": "data_type: TYPE_INT64 dims: [ -1 ]"}
LABEL: Tensors = {"label": "data_type: TYPE_STRING dims: [ 1 ]", "score": "data_type: TYPE_FP32 dims: [ 1 ]"}
ENTITIES: Tensors = {"entities": "data_type: TYPE_STRING dims: [ 1 ]"}


@dataclass(frozen=True, kw_only=True)
class TextModel:
    """The models around an encoder. last: the last step's suffix, as its source is called too; answer: its outputs."""

    encoder: str
    last: str
    answer: Tensors
    cuts_words: bool
    per_token: bool
    label_count: int

    @property
    def name(self) -> str:
        """The ensemble."""
        return f"{self.encoder}_text"


def text_model(encoder: str, labels: int) -> TextModel:
    """Return what stands around `sentiment` or `ner`, which has so many labels."""
    is_ner = encoder == "ner"
    return TextModel(
        encoder=encoder,
        last="entities" if is_ner else "label",
        answer=ENTITIES if is_ner else LABEL,
        cuts_words=is_ner,
        per_token=is_ner,
        label_count=labels,
    )


def write_text_model(repository: Path, model: TextModel, *, tokenizer: Path, labels: Path, max_batch_size: int) -> None:
    """Write the three models into a repository.

    tokenizer: the encoder's `tokenizer.json`. labels: `labels.txt`, one a line.
    """
    tokens, last = f"{model.encoder}_tokens", f"{model.encoder}_{model.last}"
    words = STARTS if model.cuts_words else {}
    logits = {"logits": f"data_type: TYPE_FP32 dims: [ {'-1, ' if model.per_token else ''}{model.label_count} ]"}
    parameters = 'parameters { key: "cuts_words" value { string_value: "true" } }\n' if model.cuts_words else ""
    _write_python(
        repository / tokens,
        _config(
            tokens, max_batch_size, TEXT, {**IDS, **words}, 'backend: "python"\ndynamic_batching { }\n' + parameters
        ),
        [SOURCES / "tokenizer.py", HERE / "tokens.py", tokenizer],
    )
    given = {**TEXT, **STARTS, **logits} if model.cuts_words else logits
    _write_python(
        repository / last,
        _config(last, max_batch_size, given, model.answer, 'backend: "python"\ndynamic_batching { }\n'),
        [SOURCES / f"{model.last}.py", HERE / "scoring.py", HERE / "tokens.py", labels],
    )
    steps = [
        _step(tokens, TEXT, {**IDS, **words}),
        _step(model.encoder, IDS, logits),
        _step(last, given, model.answer),
    ]
    scheduling = 'platform: "ensemble"\nensemble_scheduling {\n  step [\n' + ",\n".join(steps) + "\n  ]\n}\n"
    folder = repository / model.name
    (folder / "1").mkdir(parents=True, exist_ok=True)
    (folder / "config.pbtxt").write_text(_config(model.name, max_batch_size, TEXT, model.answer, scheduling))


def _write_python(folder: Path, config: str, files: Sequence[Path]) -> None:
    """Write a model of the python backend: the first file is the model, the others are what it reads and imports."""
    version = folder / "1"
    version.mkdir(parents=True, exist_ok=True)
    (folder / "config.pbtxt").write_text(config)
    shutil.copyfile(files[0], version / "model.py")
    for file in files[1:]:
        shutil.copyfile(file, version / file.name)


def _config(name: str, max_batch_size: int, inputs: Tensors, outputs: Tensors, rest: str) -> str:
    return (
        f'name: "{name}"\nmax_batch_size: {max_batch_size}\n'
        + "".join(f'input {{ name: "{tensor}" {kind} }}\n' for tensor, kind in inputs.items())
        + "".join(f'output {{ name: "{tensor}" {kind} }}\n' for tensor, kind in outputs.items())
        + rest
    )


def _step(model: str, inputs: Tensors, outputs: Tensors) -> str:
    """Return a step whose tensors are called the same in the ensemble."""
    maps = [("input_map", inputs), ("output_map", outputs)]
    entries = "".join(f'      {kind} {{ key: "{name}" value: "{name}" }}\n' for kind, names in maps for name in names)
    return f'    {{\n      model_name: "{model}"\n      model_version: -1\n{entries}    }}'
