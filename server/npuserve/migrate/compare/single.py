"""One operator alone, with the same input in the OM and in ONNX Runtime: whose error it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from npuserve.migrate.compare.difference import Difference, difference
from npuserve.migrate.compare.graph import LayerGraph, save
from npuserve.migrate.compare.layerwise import LayerError, Layers
from npuserve.migrate.compare.precision import Target
from npuserve.migrate.compare.programs import Programs
from npuserve.migrate.compare.reference import Reference
from npuserve.migrate.errors import MigrationError


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleOperator:
    """What a layer does to right inputs. difference: None if it could not be run alone, for the reason `failure`."""

    error: LayerError
    difference: Difference | None
    failure: str = ""

    def is_faulty(self, target: Target) -> bool:
        """Whether its own error is above what one operator of the target type has."""
        return self.difference is not None and self.difference.relative > target.noise

    def as_json(self, target: Target) -> dict[str, Any]:
        """Return it as plain JSON."""
        layer = self.error.layer
        return {
            "name": layer.name,
            "kind": layer.kind,
            "depth": layer.depth,
            "faulty": self.is_faulty(target),
            "relative_in_model": self.error.difference.relative,
            "failure": self.failure,
            "alone": None if self.difference is None else self.difference.as_json(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleOperators:
    """Runs layers alone, with the inputs that they have in ONNX Runtime."""

    graph: LayerGraph
    layers: Layers
    target: Target
    programs: Programs
    folder: Path

    def run(self, error: LayerError) -> SingleOperator:
        """Compile and run one layer."""
        try:
            return SingleOperator(error=error, difference=self._difference(error))
        except MigrationError as failure:
            return SingleOperator(error=error, difference=None, failure=str(failure))

    def _difference(self, error: LayerError) -> Difference:
        model, inputs = self.graph.alone(error.layer, self.layers.values)
        if not inputs:
            raise MigrationError("it reads only shapes and indices")
        source = self.folder / f"operator_{error.layer.depth}.onnx"
        save(model, source)
        om = self.programs.compile(source, inputs)
        expected = list(Reference(model, self.programs.foreign, exact=True).run(inputs).values())
        actual = list(self.programs.run(om, [inputs]).outputs[0].values())
        pairs = zip(actual, expected, strict=True)
        compared = [difference(*pair, self.target.type) for pair in pairs if pair[1].dtype.kind == "f"]
        return max(compared, key=lambda each: each.relative)


def first_bad(
    jumps: Sequence[LayerError], operators: SingleOperators
) -> tuple[LayerError | None, list[SingleOperator]]:
    """Return the first layer whose error jumps by its own doing, and what was tried to find it.

    One that is right when it runs alone only shows the error of its inputs more clearly; the next jump is looked at.
    One that cannot be run alone is believed to be at fault.
    """
    tried = []
    for error in jumps:
        alone = operators.run(error)
        tried.append(alone)
        if alone.difference is None or alone.is_faulty(operators.target):
            return error, tried
    return None, tried
