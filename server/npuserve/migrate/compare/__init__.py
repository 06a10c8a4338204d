"""S3: the OM against ONNX Runtime, whole and layer by layer, and what to do where they differ."""

from npuserve.migrate.compare.stage import CompareStage

__all__ = ["CompareStage"]
