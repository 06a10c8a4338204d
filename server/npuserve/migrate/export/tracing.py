"""A module's answers, and its trace as an ONNX graph with dynamic axes."""

import contextlib
import inspect
import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from npuserve.migrate.chain.tensors import Tensors
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.export.packages import imported
from npuserve.migrate.export.rewrites import attention_mask
from npuserve.migrate.export.rewrites.applied import Applied

# torch's own tracer writes this opset; the graph is converted from there to the wanted one.
_OLDEST_TRACED = 18
_NEWEST_TRACED = 23
# Two runs of one sample differ by no more, unless the module is random or keeps something.
_SAME = 1e-6


@dataclass(frozen=True, slots=True)
class Traceable:
    """A module in evaluation mode. order: its inputs' names, as it takes them.

    maskable: it is a Hugging Face model, whose `attention_mask` may be scores to be added.
    """

    model: Any
    maskable: bool
    order: tuple[str, ...] = field(default=())
    by_name: bool = False

    def bound_to(self, sample: Tensors) -> "Traceable":
        """Return it with its arguments settled for samples like this. Raises MigrationError if they do not fit."""
        names = tuple(sample)
        parameters = inspect.signature(self.model.forward).parameters
        takes_any = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values())
        if takes_any or set(names) <= parameters.keys():
            missing = [
                name
                for name, each in parameters.items()
                if each.default is inspect.Parameter.empty
                and each.kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
                and name not in names
            ]
            if not missing:
                return replace(self, order=names, by_name=True)
        elif len(names) == len(parameters):
            return replace(self, order=names)
        raise MigrationError(
            f"the example inputs do not fit: forward takes ({', '.join(parameters)}), the inputs are "
            f"({', '.join(names)})",
            "name the arrays of source.inputs as forward's parameters",
        )

    def __call__(self, tensors: Sequence[Any]) -> Any:
        """Call the module with tensors in the order of the names."""
        if self.by_name:
            return self.model(**dict(zip(self.order, tensors, strict=True)))
        return self.model(*tensors)


def answer(loaded: Traceable, sample: Tensors) -> dict[str, Any]:
    """Return a module's outputs for one sample, by name. Raises MigrationError if it fails."""
    torch = imported("torch")
    tensors = [torch.from_numpy(np.ascontiguousarray(sample[name])) for name in loaded.order]
    try:
        outputs = named_outputs(loaded(tensors))
    except Exception as error:  # whatever the module does
        shapes = ", ".join(f"{name} {sample[name].dtype}{list(sample[name].shape)}" for name in loaded.order)
        raise MigrationError(
            f"the example inputs do not fit: forward failed on {shapes}: {type(error).__name__}: {error}",
            "check dtype and shape of the inputs; the first axis is the batch",
        ) from error
    return {name: value.detach().cpu().numpy() for name, value in outputs.items()}


def named_outputs(result: Any) -> dict[str, Any]:
    """Return the tensors that a module returned: `logits` for a single one. Raises MigrationError if there is none."""
    torch = imported("torch")
    if isinstance(result, torch.Tensor):
        return {"logits": result}
    if isinstance(result, Mapping):
        found = {str(name): value for name, value in result.items() if isinstance(value, torch.Tensor)}
        if "logits" in found:
            return {"logits": found["logits"]}
    elif isinstance(result, tuple | list):
        found = {f"output_{index}": value for index, value in enumerate(result) if isinstance(value, torch.Tensor)}
    else:
        found = {}
    if not found:
        raise MigrationError(f"the module returned {type(result).__name__}, in which there is no tensor")
    return {"logits": next(iter(found.values()))} if len(found) == 1 else found


def check_repeatable(loaded: Traceable, sample: Tensors) -> None:
    """Raise MigrationError unless the module answers one sample alike twice."""
    first, second = answer(loaded, sample), answer(loaded, sample)
    for name, value in first.items():
        if value.shape != second[name].shape or not np.allclose(value, second[name], _SAME, _SAME, equal_nan=True):
            raise MigrationError(
                f"the module answers the same input differently: '{name}' of a second run is another",
                "switch dropout off, and change no buffer in place (as by index_add_ on one): clone it first",
            )


def settle_mask(
    loaded: Traceable, samples: Sequence[Tensors], outputs: Sequence[Tensors]
) -> tuple[Traceable, list[Applied]]:
    """Return the module with an additive mask, if it is a text model that answers alike with it."""
    if not loaded.maskable or "attention_mask" not in loaded.order:
        return loaded, []
    changed = replace(loaded, model=attention_mask.with_additive_mask(loaded.model))
    try:
        same = all(
            np.allclose(value, answer(changed, samples[number])[name], rtol=1e-4, atol=1e-4)
            for number in _shortest_and_longest(samples)
            for name, value in outputs[number].items()
        )
    except MigrationError:
        same = False
    if not same:
        return loaded, []
    return changed, [
        Applied(rewrite="attention_mask", reason=attention_mask.REASON, places=(type(loaded.model).__name__,))
    ]


def _shortest_and_longest(samples: Sequence[Tensors]) -> set[int]:
    sizes = [int(sample["attention_mask"].shape[-1]) for sample in samples]
    return {sizes.index(min(sizes)), sizes.index(max(sizes))}


def trace(loaded: Traceable, samples: Sequence[Tensors], path: Path, outputs: tuple[str, ...], opset: int) -> list[str]:
    """Write the graph; return notes on its axes. Raises MigrationError if the module cannot be traced."""
    torch = imported("torch")
    example = [torch.from_numpy(np.ascontiguousarray(each)) for each in _example(loaded.order, samples)]
    traced = min(max(opset, _OLDEST_TRACED), _NEWEST_TRACED)
    problems: list[str] = []
    for lengths in (True, False):
        shapes = _dynamic_shapes(loaded.order, samples, lengths)
        if not lengths and not problems:
            break
        try:
            _export(_as_module(loaded), example, shapes, path, loaded.order, outputs, traced)
        except Exception as error:  # torch raises many kinds
            problems.append(_reason(error))
            continue
        return [f"the sequence axis is fixed by the module: {problems[0]}"] if problems else []
    raise MigrationError(
        f"the module cannot be traced: {problems[-1]}",
        "export it to ONNX by hand and give source.onnx",
        "avoid decisions in forward that depend on values of tensors",
    )


def _as_module(loaded: Traceable) -> Any:
    torch = imported("torch")

    class Traced(torch.nn.Module):  # type: ignore[misc, name-defined, unused-ignore]
        """Takes tensors by position and returns them in a tuple."""

        def __init__(self) -> None:
            super().__init__()
            self.model = loaded.model

        def forward(self, *tensors: Any) -> Any:
            return tuple(named_outputs(loaded(tensors)).values())

    return Traced().eval()


def _export(
    module: Any,
    example: Sequence[Any],
    shapes: Any,
    path: Path,
    inputs: Sequence[str],
    outputs: Sequence[str],
    opset: int,
) -> None:
    torch = imported("torch")
    for name in ("torch.onnx", "torch.onnx._internal.exporter._registration"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        # Remarks of the exporter on its own insides.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            tuple(example),
            str(path),
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=(shapes,),
            opset_version=opset,
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def _example(names: Sequence[str], samples: Sequence[Tensors]) -> list[Any]:
    """Return two equal rows of the longest sample: an axis of 1 would be taken for a fixed one."""
    longest = max(samples, key=lambda sample: sum(each.size for each in sample.values()))
    return [np.concatenate([longest[name], longest[name]]) for name in names]


def _dynamic_shapes(names: Sequence[str], samples: Sequence[Tensors], lengths: bool) -> Any:
    torch = imported("torch")
    batch, sequence = torch.export.Dim("batch"), torch.export.Dim.DYNAMIC
    shapes = []
    for name in names:
        axes: dict[int, Any] = {0: batch}
        if lengths:
            axes |= dict.fromkeys(varying_axes(name, samples), sequence)
        shapes.append(axes)
    return tuple(shapes)


def varying_axes(name: str, samples: Sequence[Tensors]) -> list[int]:
    """Return the axes behind the first in which samples differ, and the second of a row of integers."""
    shapes = {sample[name].shape for sample in samples}
    ranks = {len(shape) for shape in shapes}
    if len(ranks) != 1:
        raise MigrationError(f"the example inputs do not fit: '{name}' has {sorted(ranks)} axes in different samples")
    (rank,) = ranks
    found = {axis for axis in range(1, rank) if len({shape[axis] for shape in shapes}) > 1}
    if rank == 2 and samples[0][name].dtype.kind in "iu":
        found.add(1)
    return sorted(found)


def _reason(error: BaseException) -> str:
    """Return the innermost sentence: torch wraps the cause in reports of many pages."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__
