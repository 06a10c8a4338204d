"""The first stage: a checkpoint, a module or an ONNX file becomes an ONNX graph that the compiler can be given."""

from npuserve.migrate.export.stage import ExportStage

__all__ = ["ExportStage"]
