"""npuserve: an inference server for Ascend NPUs that speaks Triton's protocols."""

__version__ = "0.1.0"
__all__ = ["__version__"]
