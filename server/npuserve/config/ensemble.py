"""The rules of an ensemble's wiring: those of its config alone, and those that need the configs of its steps.

A tensor of the ensemble is an input, an output, or what one step writes and others read. Texts are Triton's.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from npuserve._proto.model_config_pb2 import DataType, ModelConfig, ModelEnsembling, ModelInput, ModelOutput
from npuserve.core.errors import invalid
from npuserve.core.tensor import format_shape

PLATFORM = "ensemble"


def is_ensemble(config: ModelConfig) -> bool:
    """Say whether the config describes an ensemble; whether it does so rightly is `validate_ensemble`'s to say."""
    return config.platform == PLATFORM or config.HasField("ensemble_scheduling")


def validate_ensemble(config: ModelConfig) -> None:
    """Check an ensemble's own config. Does nothing for other models. Raises ServeError: INVALID_ARGUMENT."""
    if not is_ensemble(config):
        return
    name = config.name
    if config.platform != PLATFORM:
        raise invalid(f"ensemble scheduling cannot be set for model '{name}' whose platform is not {PLATFORM}")
    if config.backend:
        raise invalid(f"Ensemble model '{name}' must have platform type '{PLATFORM}' and empty backend type")
    if not config.HasField("ensemble_scheduling"):
        raise invalid(f"ensemble scheduling must be set for ensemble {name} whose platform is {PLATFORM}")
    if config.instance_group:
        raise invalid(f"instance group should not be specified for ensemble '{name}'")
    if config.HasField("optimization"):
        raise invalid(f"optimization should not be specified for ensemble '{name}'")
    if config.model_warmup:
        raise invalid(f"model_warmup can not be specified for ensemble '{name}'")
    if not config.ensemble_scheduling.step:
        raise invalid(f"must specify 'step' for ensemble '{name}'")
    _check_flow(config, _wired(config))


@dataclass(slots=True)
class _Wire:
    """An ensemble tensor: the tensors it is computed from, those computed from it, whether it will have a value."""

    is_written: bool = False
    sources: list[str] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    is_ready: bool = False


def _wired(config: ModelConfig) -> dict[str, _Wire]:
    """Return the wires by the tensors' names. Raises ServeError (INVALID_ARGUMENT) for a step that is not complete."""
    wires: dict[str, _Wire] = {}
    for index, step in enumerate(config.ensemble_scheduling.step):
        for field_name, given in (
            ("model_name", step.model_name),
            ("input_map", step.input_map),
            ("output_map", step.output_map),
        ):
            if not given:
                raise invalid(f"must specify '{field_name}' in step {index} of ensemble '{config.name}'")
        for target in step.output_map.values():
            wire = wires.setdefault(target, _Wire())
            if wire.is_written:
                raise invalid(
                    f"ensemble tensor '{target}' can appear in an output map only once for ensemble '{config.name}' "
                    f"step {index}"
                )
            wire.is_written = True
        for source in step.input_map.values():
            wires.setdefault(source, _Wire()).targets.extend(step.output_map.values())
            for target in step.output_map.values():
                wires[target].sources.append(source)
    return wires


def _check_flow(config: ModelConfig, wires: Mapping[str, _Wire]) -> None:
    """Follow the values from the inputs to the outputs. Raises ServeError (INVALID_ARGUMENT)."""
    for tensor in config.input:
        if tensor.name not in wires:
            raise invalid(f"ensemble input '{tensor.name}' for ensemble {config.name}' is not used")
        if wires[tensor.name].is_written:
            raise invalid(f"ensemble input '{tensor.name}' of ensemble '{config.name}' cannot be in an output map")
    _mark_ready(wires, [tensor.name for tensor in config.input])
    for output in config.output:
        if output.name not in wires:
            raise invalid(f"ensemble output '{output.name}' for ensemble {config.name}' is not used")
        if not wires[output.name].is_ready:
            missing = _unconnected(wires, output.name)
            reason = f": at least one of its depending tensors, '{missing}', is not connected" if missing else ""
            raise invalid(f"output '{output.name}' for ensemble '{config.name}' is not written{reason}")
    outputs = {output.name for output in config.output}
    for name, wire in sorted(wires.items()):
        if name not in outputs and not (wire.is_ready and wire.targets):
            raise invalid(f"ensemble tensor '{name}' is unused in ensemble '{config.name}'")


def _mark_ready(wires: Mapping[str, _Wire], inputs: Iterable[str]) -> None:
    reached = list(inputs)
    for name in reached:
        wires[name].is_ready = True
    while reached:
        for target in wires[reached.pop()].targets:
            wire = wires[target]
            if not wire.is_ready and all(wires[source].is_ready for source in wire.sources):
                wire.is_ready = True
                reached.append(target)


def _unconnected(wires: Mapping[str, _Wire], name: str) -> str:
    """Return a tensor that `name` depends on and that nothing writes; "" if there is none, as in a circle."""
    seen = {name}
    waiting = [name]
    while waiting:
        for source in wires[waiting.pop()].sources:
            if source in seen or wires[source].is_ready:
                continue
            if not wires[source].is_written:
                return source
            seen.add(source)
            waiting.append(source)
    return ""


@dataclass(frozen=True, slots=True)
class _Inferred:
    """What a model's config says of a tensor. full: with the batch dimension if the model batches."""

    model: str
    data_type: DataType
    dims: tuple[int, ...]
    full: tuple[int, ...]


def validate_steps(config: ModelConfig, steps: Sequence[ModelConfig]) -> None:
    """Check that an ensemble and its steps agree.

    steps: the effective config of each step's model, in the steps' order. Raises ServeError: INVALID_ARGUMENT.
    """
    tensors = {
        tensor.name: _inferred(config, tensor)
        for tensor in chain[ModelInput | ModelOutput](config.input, config.output)
    }
    for step, model in zip(config.ensemble_scheduling.step, steps, strict=True):
        if 0 < model.max_batch_size < config.max_batch_size:
            raise invalid(
                f"ensemble {config.name} allows maximum batch size {config.max_batch_size}, but it contains model "
                f"{step.model_name} which only allows maximum batch size to be {model.max_batch_size}"
            )
        _check_inputs(config.name, step, model, tensors)
        _check_outputs(config.name, step, model, tensors)
    decoupled_origins(config, [model.model_transaction_policy.decoupled for model in steps])


def _inferred(config: ModelConfig, tensor: ModelInput | ModelOutput) -> _Inferred:
    dims = tuple(tensor.dims)
    full = (-1, *dims) if config.max_batch_size > 0 else dims
    return _Inferred(config.name, tensor.data_type, dims, full)


def _check_inputs(ensemble: str, step: ModelEnsembling.Step, model: ModelConfig, tensors: dict[str, _Inferred]) -> None:
    inputs = {tensor.name: tensor for tensor in model.input}
    for name, tensor in step.input_map.items():
        if name not in inputs:
            raise invalid(
                f"in ensemble {ensemble}, ensemble tensor {tensor} is mapping to non-existing input {name} in model "
                f"{step.model_name}"
            )
    for name, declared in inputs.items():
        if name in step.input_map:
            _check_consistency(ensemble, step.input_map[name], _inferred(model, declared), tensors)
        elif not declared.optional:
            raise invalid(
                f"in ensemble {ensemble}, input {name} in model {step.model_name} is not mapped to any ensemble tensors"
            )


def _check_outputs(
    ensemble: str, step: ModelEnsembling.Step, model: ModelConfig, tensors: dict[str, _Inferred]
) -> None:
    outputs = {tensor.name: tensor for tensor in model.output}
    for name, tensor in step.output_map.items():
        if name not in outputs:
            raise invalid(
                f"in ensemble {ensemble}, ensemble tensor {tensor} is mapped from non-existing output {name} in model "
                f"{step.model_name}"
            )
        _check_consistency(ensemble, tensor, _inferred(model, outputs[name]), tensors)


def _check_consistency(ensemble: str, tensor: str, found: _Inferred, tensors: dict[str, _Inferred]) -> None:
    """Compare what two models say of a tensor; the first that names it decides."""
    known = tensors.setdefault(tensor, found)
    subject = f"in ensemble {ensemble}, ensemble tensor {tensor}: inconsistent"
    if known.data_type != found.data_type:
        raise invalid(
            f"{subject} data type: {DataType.Name(known.data_type)} is inferred from model {known.model} while "
            f"{DataType.Name(found.data_type)} is inferred from model {found.model}"
        )
    # A model that batches and one that does not may share a tensor if either reading agrees.
    if not _fits(known.dims, found.dims) and not _fits(known.full, found.full):
        raise invalid(
            f"{subject} shape: {format_shape(known.full)} is inferred from model {known.model} while "
            f"{format_shape(found.full)} is inferred from model {found.model}"
        )


def _fits(left: Sequence[int], right: Sequence[int]) -> bool:
    return len(left) == len(right) and all(a == b or -1 in (a, b) for a, b in zip(left, right, strict=True))


def decoupled_origins(config: ModelConfig, decoupled: Sequence[bool]) -> dict[str, int | None]:
    """Return which decoupled step's responses each tensor comes with; None if it has one value a request.

    decoupled: whether each step's model may answer any number of times. A step takes tensors of one origin only, and so
    do the ensemble's outputs: their values could not be matched. Raises ServeError: INVALID_ARGUMENT.
    """
    origins: dict[str, int | None] = {tensor.name: None for tensor in config.input}
    outputs = {output.name for output in config.output}
    waiting = list(enumerate(config.ensemble_scheduling.step))
    while waiting:
        ready = [(index, step) for index, step in waiting if origins.keys() >= set(step.input_map.values())]
        waiting = [(index, step) for index, step in waiting if (index, step) not in ready]
        for index, step in ready:
            names_output = any(tensor in outputs for tensor in step.output_map.values())
            origin = _one_origin(config, config.name if names_output else step.model_name, step.input_map, origins)
            origins |= dict.fromkeys(step.output_map.values(), index if decoupled[index] else origin)
    _one_origin(config, config.name, {name: name for name in outputs}, origins)
    return origins


def _one_origin(
    config: ModelConfig, reader: str, read: Mapping[str, str], origins: Mapping[str, int | None]
) -> int | None:
    found = {origins[tensor] for tensor in read.values()}
    if len(found) > 1:
        raise invalid(
            f"in ensemble {config.name}, step of model '{reader}' receives inputs originated from different decoupled "
            "models"
        )
    return next(iter(found), None)
