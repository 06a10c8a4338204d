"""What to do about an operator that the compiler does not take."""

from collections.abc import Mapping

# For those that models of this kind do have; the first words say what takes the operator's place.
_BY_NAME: Mapping[str, str] = {
    "Gelu": "export with opset 18 or below, where it is made of Erf or Tanh, which the compiler fuses again",
    "Attention": "export with the eager attention implementation (attn_implementation='eager'): MatMul and Softmax",
    "RMSNormalization": "export with opset 18 or below, where it is made of ReduceMean, Sqrt and Mul",
    "RotaryEmbedding": "export with opset 18 or below, where it is made of Mul, Neg and Concat",
    "GroupNormalization": "export with opset 18 or below as InstanceNormalization with Reshape",
    "Mish": "write it as x * tanh(softplus(x))",
    "Swish": "write it as x * sigmoid(x)",
    "CastLike": "write Cast with the type, which is known before the export",
    "Loop": "unroll the loop before the export: its number of turns must not depend on the inputs",
    "Scan": "unroll the loop before the export: its number of turns must not depend on the inputs",
    "Unique": "take it out of the model: its output's shape depends on values; the server's tokenizer can do it",
    "DynamicQuantizeLinear": "quantize statically, with a calibration sample: set precision to 'int8' under [compile]",
    "MatMulInteger": "quantize statically, with a calibration sample: set precision to 'int8' under [compile]",
    "QLinearMatMul": "quantize with QDQ nodes, not with quantized operators, or with AMCT",
    "QLinearConv": "quantize with QDQ nodes, not with quantized operators, or with AMCT",
    "StringNormalizer": "take text processing out of the model: serve the tokenizer by `backend: tokenizer`",
    "StringSplit": "take text processing out of the model: serve the tokenizer by `backend: tokenizer`",
    "RegexFullMatch": "take text processing out of the model: serve the tokenizer by `backend: tokenizer`",
    "TfIdfVectorizer": "take text processing out of the model: serve the tokenizer by `backend: tokenizer`",
}
_BY_DOMAIN: Mapping[str, str] = {
    "com.microsoft": "export without ONNX Runtime's optimizer, which fuses standard operators into this one",
    "ai.onnx.ml": "compute it outside the model: this is classical machine learning, which the NPU does not run",
    "org.pytorch.aten": "export with a newer torch, or give the exporter a symbolic function of standard operators",
    "pkg.torch": "inline the functions of the exporter: onnx.inliner.inline_local_functions",
}
_ELSE = (
    "write it with other operators before the export, or as a custom operator with a parser of its own; or serve this "
    "model by ONNX Runtime"
)


def advice_for(domain: str, name: str, opset: int, opsets: tuple[int, int]) -> str:
    """Return one sentence's worth. opsets: the range that the compiler takes."""
    for known, advice in _BY_DOMAIN.items():
        if domain.startswith(known):
            return advice
    if not domain and name in _BY_NAME:
        return _BY_NAME[name]
    if not domain and opset and not opsets[0] <= opset <= opsets[1]:
        return f"export with opset {opsets[1]}: set opset = {opsets[1]} under [export]"
    return _ELSE
