"""Stage S2: whether the NPU has every operator, the compiler with its options, and what came out of it."""

from npuserve.migrate.compile.stage import CompileStage

__all__ = ["CompileStage"]
