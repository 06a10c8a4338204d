"""Which field of typed contents (InferTensorContents) holds the values of a dtype."""

from collections.abc import Mapping

from npuserve.core.dtype import Dtype

CONTENTS_FIELDS: Mapping[Dtype, str] = {
    Dtype.BOOL: "bool_contents",
    Dtype.INT8: "int_contents",
    Dtype.INT16: "int_contents",
    Dtype.INT32: "int_contents",
    Dtype.INT64: "int64_contents",
    Dtype.UINT8: "uint_contents",
    Dtype.UINT16: "uint_contents",
    Dtype.UINT32: "uint_contents",
    Dtype.UINT64: "uint64_contents",
    Dtype.FP16: "fp32_contents",
    Dtype.BF16: "fp32_contents",
    Dtype.FP32: "fp32_contents",
    Dtype.FP64: "fp64_contents",
    Dtype.BYTES: "bytes_contents",
}
