"""How an ensemble runs: its steps, put into stages. Decides; runs nothing.

A stage's steps have one value of each of their tensors. What a decoupled step answers starts the next stage, once for
each response; so there is one decoupled step a stage at most, and everything else in its stage leads to it.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from npuserve._proto.model_config_pb2 import ModelConfig, ModelEnsembling, ModelInput, ModelOutput
from npuserve.config.ensemble import decoupled_origins
from npuserve.core.request import RequestedOutput


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Whether a model's inputs, or an ensemble's outputs, have a batch dimension, and how many others, by name."""

    batches: bool
    ranks: dict[str, int]

    def shape_of(self, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of a tensor of another model as this one has it: with or without a batch of one."""
        rank = self.ranks[name]
        if self.batches and len(shape) == rank:
            return (1, *shape)
        if not self.batches and len(shape) == rank + 1 and shape[0] == 1:
            return shape[1:]
        return shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One model's place in the ensemble.

    inputs, outputs: the model's names to the ensemble's. reads: the ensemble tensors that it takes. wanted: what to
    ask the model for. version: "" for any.
    """

    model: str
    version: str
    inputs: dict[str, str]
    outputs: dict[str, str]
    reads: frozenset[str]
    wanted: tuple[RequestedOutput, ...]
    layout: Layout
    is_decoupled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Steps that run concurrently, each once its tensors are there; then `last`, if the stage has a decoupled step."""

    steps: tuple[Step, ...]
    last: Step | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsemblePlan:
    """The stages in their order.

    models: the names and versions of all steps' models. layout: the ensemble's own. written_only: the outputs that no
    step reads.
    """

    name: str
    stages: tuple[Stage, ...]
    models: tuple[tuple[str, str], ...]
    layout: Layout
    outputs: tuple[str, ...]
    written_only: frozenset[str]

    @property
    def is_decoupled(self) -> bool:
        """Whether a request may have any number of responses."""
        return len(self.stages) > 1

    def asked_for(self, outputs: Collection[str]) -> "EnsemblePlan":
        """Return the plan with only the steps that these outputs need."""
        needed = set(outputs)
        stages: list[Stage] = []
        for stage in reversed(self.stages):
            if stage.last is not None:
                needed |= stage.last.reads
            steps: list[Step] = []
            waiting = list(stage.steps)
            while wanted := [step for step in waiting if not needed.isdisjoint(step.outputs.values())]:
                needed |= {tensor for step in wanted for tensor in step.reads}
                waiting = [step for step in waiting if step not in wanted]
                steps += wanted
            stages.append(Stage(steps=tuple(step for step in stage.steps if step in steps), last=stage.last))
        stages.reverse()
        return replace(self, stages=tuple(stages), models=_models(stages), outputs=tuple(outputs))


def plan_ensemble(config: ModelConfig, models: Sequence[ModelConfig]) -> EnsemblePlan:
    """Return the plan of an ensemble that was found valid with its steps' models.

    models: the effective config of each step's model, in the steps' order. Raises ServeError: INVALID_ARGUMENT.
    """
    decoupled = [model.model_transaction_policy.decoupled for model in models]
    origins = decoupled_origins(config, decoupled)
    steps = [_step(step, model) for step, model in zip(config.ensemble_scheduling.step, models, strict=True)]
    read = {tensor for step in steps for tensor in step.reads}
    outputs = tuple(output.name for output in config.output)
    stages: list[Stage] = []
    origin: int | None = None
    while True:
        present = [
            (index, step) for index, step in enumerate(steps) if {origins[each] for each in step.reads} == {origin}
        ]
        following = next((index for index, step in present if step.is_decoupled), None)
        stages.append(
            Stage(
                steps=tuple(step for _, step in present if not step.is_decoupled),
                last=None if following is None else steps[following],
            )
        )
        if following is None:
            break
        origin = following
    return EnsemblePlan(
        name=config.name,
        stages=tuple(stages),
        models=_models(stages),
        layout=_layout(config, config.output),
        outputs=outputs,
        written_only=frozenset(outputs) - read,
    )


def _step(step: ModelEnsembling.Step, model: ModelConfig) -> Step:
    return Step(
        model=step.model_name,
        version=str(step.model_version) if step.model_version > 0 else "",
        inputs=dict(step.input_map),
        outputs=dict(step.output_map),
        reads=frozenset(step.input_map.values()),
        wanted=tuple(RequestedOutput(name=name) for name in step.output_map),
        layout=_layout(model, model.input),
        is_decoupled=model.model_transaction_policy.decoupled,
    )


def _models(stages: Iterable[Stage]) -> tuple[tuple[str, str], ...]:
    steps = [step for stage in stages for step in (*stage.steps, stage.last) if step is not None]
    return tuple((step.model, step.version) for step in steps)


def _layout(config: ModelConfig, tensors: Iterable[ModelInput | ModelOutput]) -> Layout:
    return Layout(batches=config.max_batch_size > 0, ranks={tensor.name: len(tensor.dims) for tensor in tensors})
