"""The settings with which the chain converts one version of a model."""

from dataclasses import dataclass, replace
from pathlib import Path

from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.migrate.chain.settings import ServeSettings, Settings, SourceSettings
from npuserve.migrate.chain.tensors import save_samples
from npuserve.migrate.export.onnx_file import read_onnx, text_inputs
from npuserve.migrate.serve.graph_interface import graph_interface
from npuserve.migrate.serve.model_config import ConfigPlan, new_config
from npuserve.migrate.triton.examples import fixed_length, made_up, takes_tokens
from npuserve.migrate.triton.plan import CONFIG, Planned

_SAMPLES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """target: the new repository. work: where models are converted, kept for the reports.

    template: the settings of every model but for its source. samples: a folder with NAME.npz of requests, or NAME.jsonl
    and NAME.tokenizer.json; None: requests are made up. keeps_onnx: an ONNX model that cannot be converted is copied,
    to run on ONNX Runtime.
    """

    target: Path
    work: Path
    template: Settings
    samples: Path | None = None
    keeps_onnx: bool = False


def settings_of(planned: Planned, version: int, source: Path, migration: Migration, work: Path) -> Settings:
    """Return the settings of one conversion. Raises MigrationError."""
    assert planned.config is not None
    template, config_path = migration.template, planned.path / CONFIG
    config = _with_tensors(planned, source)
    compiling, exporting = template.compile, template.export
    if config.max_batch_size > 0:
        batches = tuple(size for size in compiling.batches if size <= config.max_batch_size)
        compiling = replace(compiling, max_batch=min(config.max_batch_size, compiling.max_batch), batches=batches)
    if length := fixed_length(config):
        exporting = replace(exporting, max_length=length)
        if _varies(source):
            compiling = replace(compiling, lengths=(length,))
    return replace(
        template,
        source=_source(planned, source, config, migration.samples, work),
        export=exporting,
        compile=compiling,
        serve=replace(template.serve, version=version, config=config_path if config_path.exists() else None),
    )


def _source(planned: Planned, source: Path, config: ModelConfig, samples: Path | None, work: Path) -> SourceSettings:
    given = SourceSettings(name=planned.name, onnx=source)
    if samples is not None:
        inputs, dataset, tokenizer = (samples / f"{planned.name}{end}" for end in (".npz", ".jsonl", ".tokenizer.json"))
        if inputs.exists():
            return replace(given, inputs=inputs)
        if dataset.exists() and tokenizer.exists():
            return replace(given, dataset=dataset, tokenizer=tokenizer, labels=_labels(planned))
    if takes_tokens(config) and text_inputs(read_onnx(source)) is not None:
        # The export finds the vocabulary and makes up better requests.
        return given
    inputs = work / "requests.npz"
    lengths = tuple(4 + 4 * (number % 8) for number in range(_SAMPLES))
    save_samples(inputs, made_up(config, lengths))
    return replace(given, inputs=inputs)


def _labels(planned: Planned) -> tuple[str, ...]:
    assert planned.config is not None
    files = [output.label_filename for output in planned.config.output if output.label_filename]
    return tuple((planned.path / files[0]).read_text(encoding="utf-8").splitlines()) if files else ()


def _with_tensors(planned: Planned, source: Path) -> ModelConfig:
    """Return the config, completed from the graph if it lists no inputs."""
    assert planned.config is not None
    if planned.config.input:
        return planned.config
    interface = graph_interface(source)
    largest = planned.config.max_batch_size or (1 if interface.batches else 0)
    return new_config(ConfigPlan(name=planned.name, settings=ServeSettings(), interface=interface, max_batch=largest))


def _varies(source: Path) -> bool:
    """Whether lengths vary in the graph, whatever the config says."""
    return any(-1 in spec.shape[1:] for spec in graph_interface(source).inputs)
