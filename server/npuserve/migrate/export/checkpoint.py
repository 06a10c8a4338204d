"""A Hugging Face model in a folder: looked at before torch is loaded, then loaded from its files alone."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from npuserve.migrate.errors import MigrationError
from npuserve.migrate.export.packages import imported
from npuserve.migrate.export.tracing import Traceable

# Encoders whose attention sees both sides, and which take one row of tokens and a mask.
FAMILY = frozenset(
    {
        "albert",
        "bert",
        "camembert",
        "convbert",
        "deberta",
        "deberta-v2",
        "distilbert",
        "electra",
        "ernie",
        "layoutlm",
        "mobilebert",
        "modernbert",
        "mpnet",
        "nezha",
        "rembert",
        "roberta",
        "roberta-prelayernorm",
        "roformer",
        "squeezebert",
        "xlm-roberta",
        "xlm-roberta-xl",
    }
)
HEADS = {"classification": "ForSequenceClassification", "token_classification": "ForTokenClassification"}
_WEIGHTS = ("model.safetensors", "pytorch_model.bin", "model.safetensors.index.json", "pytorch_model.bin.index.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointConfig:
    """What `config.json` says that the export needs. max_length: positions that the model has; None: not told."""

    kind: str
    labels: tuple[str, ...]
    vocabulary: int
    max_length: int | None


def read_config(folder: Path, task: str) -> CheckpointConfig:
    """Read the configuration of a checkpoint that has the head for the task. Raises MigrationError."""
    if task not in HEADS:
        raise MigrationError(f"source.task is '{task}': it must be {' or '.join(HEADS)}")
    fields = _fields(folder)
    kind = str(fields.get("model_type", ""))
    heads = [str(each) for each in fields.get("architectures") or ()]
    named = f"{kind or 'no model_type'}{f' ({heads[0]})' if heads else ''}"
    if kind not in FAMILY:
        raise MigrationError(
            f"the checkpoint {folder} is of the wrong architecture: {named} is not of the BERT family, whose "
            "classifiers and token classifiers are exported",
            "export another architecture as a module: source.module = 'package.module:function' with source.inputs",
        )
    _check_head(folder, heads, named, task)
    if not any((folder / name).exists() for name in _WEIGHTS):
        raise MigrationError(
            f"the checkpoint {folder} has no weights: there is none of {', '.join(_WEIGHTS[:2])}",
            "copy all files of the model's folder; a clone without git-lfs has pointers in their place",
        )
    # Two labels without names are not written down.
    named_labels = fields.get("id2label") or {0: "LABEL_0", 1: "LABEL_1"}
    names = {int(number): str(name) for number, name in named_labels.items()}
    positions = fields.get("max_position_embeddings")
    # RoBERTa's positions start behind the padding index.
    reserved = int(fields.get("pad_token_id") or 0) + 1 if "roberta" in kind or kind in ("camembert", "mpnet") else 0
    return CheckpointConfig(
        kind=kind,
        labels=tuple(names[number] for number in sorted(names)),
        vocabulary=int(fields.get("vocab_size") or 2),
        max_length=int(positions) - reserved if positions else None,
    )


def load_checkpoint(folder: Path, task: str) -> Traceable:
    """Load the model, in evaluation mode, with nothing fetched. Raises MigrationError."""
    read_config(folder, task)
    transformers = imported("transformers")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    auto = {
        "classification": transformers.AutoModelForSequenceClassification,
        "token_classification": transformers.AutoModelForTokenClassification,
    }[task]
    try:
        model, report = auto.from_pretrained(
            folder, local_files_only=True, attn_implementation="eager", output_loading_info=True
        )
    except Exception as error:  # whatever a broken file makes of the loader
        raise MigrationError(
            f"the checkpoint {folder} cannot be loaded: {_first_line(error)}",
            "check that its files are complete, and that transformers is as new as its config.json says",
        ) from error
    if missing := sorted(report["missing_keys"]):
        raise MigrationError(
            f"the weights of {folder} lack {len(missing)} that {type(model).__name__} needs, as {missing[0]}: it would "
            "answer at random",
            "export the fine-tuned checkpoint, not the pre-trained one",
        )
    # An additive mask would reach the layers whose window it replaces.
    windows = "sliding_attention" in (getattr(model.config, "layer_types", None) or ())
    return Traceable(model.float().eval(), maskable=not windows)


def _check_head(folder: Path, heads: list[str], named: str, task: str) -> None:
    if any(each.endswith(HEADS[task]) for each in heads):
        return
    for other, head in HEADS.items():
        if any(each.endswith(head) for each in heads):
            raise MigrationError(
                f"the checkpoint {folder} is {heads[0]}, which is for the task {other}, not {task}",
                f"set source.task = '{other}'",
            )
    raise MigrationError(
        f"the checkpoint {folder} has no head for the task {task}: {named} has to be a model {HEADS[task]}",
        "export the fine-tuned checkpoint, not the pre-trained one",
    )


def _fields(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise MigrationError(f"source.checkpoint: there is no folder {folder}")
    path = folder / "config.json"
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MigrationError(
            f"the checkpoint {folder} has no config.json",
            "name the folder that holds config.json and the weights, as save_pretrained() writes it",
        ) from error
    except (OSError, ValueError) as error:
        raise MigrationError(f"{path} cannot be read: {error}") from error
    if not isinstance(fields, dict):
        raise MigrationError(f"{path} is no JSON object")
    return fields


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
