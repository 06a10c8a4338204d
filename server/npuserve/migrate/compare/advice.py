"""What to tell the user of a comparison."""

from collections.abc import Iterable, Sequence

from npuserve.migrate.chain.gates import Check, failed
from npuserve.migrate.compare.candidates import Candidate, cheapest
from npuserve.migrate.compare.layerwise import LayerError
from npuserve.migrate.compare.limits import Limits
from npuserve.migrate.compare.precision import FLOAT32, Target
from npuserve.migrate.compare.single import SingleOperator


def advice(
    checks: Sequence[Check], bad: LayerError | None, candidates: Sequence[Candidate], target: Target
) -> list[str]:
    """Return what to try, best first; nothing if the gate passed."""
    if not failed(checks):
        return []
    found = []
    best = cheapest(candidates)
    if best is not None and best.flags:
        found.append(
            f"compile with {' '.join(best.flags)} ({best.name}): the limits hold on the batch that was tried"
            + (
                "; copy the list beside migration.toml first, the next run of this stage replaces it"
                if best.lists
                else ""
            )
        )
    if bad is not None and not target.lowers:
        found.append(
            f"layer '{bad.layer.name}' ({bad.layer.kind}) computes wrong in float32: rewrite it before the export, or "
            "look for a fix of the compiler"
        )
    if target.lowers and (best is None or not best.flags):
        found.append('set compile.precision = "must_keep_origin_dtype"')
    found.append('fall back to ONNX Runtime for this model: serve.backend = "onnxruntime"')
    return found


def limit_notes(limits: Iterable[Limits]) -> list[str]:
    """Return where the limits come from, of those that are not the defaults of float32."""
    return [f"limits of {each.output}: {each.why}" for each in limits if each.why != FLOAT32.name]


def notes(bad: LayerError | None, single: Sequence[SingleOperator], target: Target) -> list[str]:
    """Return what was found of the layers, in sentences."""
    found = []
    if bad is not None:
        own = next((each for each in single if each.error is bad and each.difference is not None), None)
        alone = (
            "could not be run alone"
            if own is None or own.difference is None
            else (f"alone, with right inputs, {own.difference.relative:.2g}")
        )
        found.append(
            f"the first bad layer is '{bad.layer.name}' ({bad.layer.kind}, depth {bad.layer.depth}): relative error "
            f"{bad.difference.relative:.2g} where its inputs have {bad.read:.2g}; {alone}"
        )
    for each in single:
        if each.error is not bad and each.error.jumps(target) and not each.is_faulty(target):
            found.append(
                f"the error jumps at '{each.error.layer.name}', but alone it is right: it only shows its inputs' error"
            )
    return found
