"""INT8 by post-training quantization: a graph with the layers that can bear it in int8, and what that costs."""

from npuserve.migrate.quantize.quantizer import quantize

__all__ = ["quantize"]
