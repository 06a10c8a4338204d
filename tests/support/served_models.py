"""A model repository of small real OMs for the conformance tests: compiled once, by the emulator's atc."""

import tempfile
from pathlib import Path

import onnx
from onnx import TensorProto, helper
from support.emulator import ATC
from support.models import compile_model, graph_input, onnx_model, tokens

ROOT = Path(__file__).resolve().parent.parent.parent
CACHE = ROOT / "build" / "conformance_models"

# INPUT0 and INPUT1 to their sum and their difference, as Triton's own "simple" model.
PAIR_CONFIG = """
backend: "ascend"
max_batch_size: 8
input [
  { name: "INPUT0" data_type: TYPE_INT32 dims: [ 16 ] },
  { name: "INPUT1" data_type: TYPE_INT32 dims: [ 16 ] }
]
output [
  { name: "OUTPUT0" data_type: TYPE_INT32 dims: [ 16 ] },
  { name: "OUTPUT1" data_type: TYPE_INT32 dims: [ 16 ] }
]
dynamic_batching { max_queue_delay_microseconds: 100 }
"""
FIXED_CONFIG = """
backend: "ascend"
max_batch_size: 0
input [ { name: "INPUT0" data_type: TYPE_FP32 dims: [ 2, 3 ] } ]
output [ { name: "OUTPUT0" data_type: TYPE_FP32 dims: [ 2, 3 ] } ]
"""
TOKENS_CONFIG = """
backend: "ascend"
max_batch_size: 4
input [
  { name: "input_ids" data_type: TYPE_INT64 dims: [ -1 ] },
  { name: "attention_mask" data_type: TYPE_INT64 dims: [ -1 ] }
]
output [ { name: "logits" data_type: TYPE_FP32 dims: [ -1, 3 ] } ]
dynamic_batching { }
"""


# One request a batch at a time, and it waits for company: what is accepted stays open for half a second.
WAITING_CONFIG = PAIR_CONFIG.replace(
    "dynamic_batching { max_queue_delay_microseconds: 100 }",
    "dynamic_batching { preferred_batch_size: [ 8 ] max_queue_delay_microseconds: 500000 }",
)
# The same, with room for two requests besides those in a batch.
NARROW_CONFIG = WAITING_CONFIG.replace(
    "max_queue_delay_microseconds: 500000",
    "max_queue_delay_microseconds: 500000 default_queue_policy { max_queue_size: 2 }",
)


def pair() -> onnx.ModelProto:
    """OUTPUT0 = INPUT0 + INPUT1, OUTPUT1 = INPUT0 - INPUT1, all INT32 [batch, 16]."""
    inputs, outputs = (
        [graph_input(f"{kind}{index}", TensorProto.INT32, ["batch", 16]) for index in range(2)]
        for kind in ("INPUT", "OUTPUT")
    )
    nodes = [
        helper.make_node(operator, ["INPUT0", "INPUT1"], [output], name=output)
        for operator, output in (("Add", "OUTPUT0"), ("Sub", "OUTPUT1"))
    ]
    return onnx_model(nodes, inputs, outputs)


def fixed() -> onnx.ModelProto:
    """OUTPUT0 = -INPUT0, FP32 [2, 3]."""
    return onnx_model(
        [helper.make_node("Neg", ["INPUT0"], ["OUTPUT0"], name="negate")],
        [graph_input("INPUT0", TensorProto.FLOAT, [2, 3])],
        [graph_input("OUTPUT0", TensorProto.FLOAT, [2, 3])],
    )


_PAIR_FLAGS = ("--input_shape=INPUT0:-1,16;INPUT1:-1,16", "--dynamic_batch_size=1,2,4,8")
_TOKEN_FLAGS = ("--input_shape=input_ids:-1,-1;attention_mask:-1,-1", "--dynamic_dims=1,8,1,8;4,8,4,8;4,16,4,16")
_MODELS = {
    "pair": (pair, PAIR_CONFIG, _PAIR_FLAGS),
    "waiting": (pair, WAITING_CONFIG, _PAIR_FLAGS),
    "narrow": (pair, NARROW_CONFIG, _PAIR_FLAGS),
    "fixed": (fixed, FIXED_CONFIG, ("--input_shape=INPUT0:2,3",)),
    "tokens": (tokens, TOKENS_CONFIG, _TOKEN_FLAGS),
}


def add_model(repository: Path, kind: str, name: str | None = None) -> Path:
    """Put a model of a kind (a key of `_MODELS`) into a repository and return its folder."""
    _, config, _ = _MODELS[kind]
    folder = repository / (name or kind)
    (folder / "1").mkdir(parents=True)
    (folder / "config.pbtxt").write_text(config)
    (folder / "1" / "model.om").hardlink_to(_compiled(kind))
    return folder


def add_identity_model(repository: Path, name: str, config: str) -> Path:
    """Put a model that is a config alone into a repository: every output is a copy of the input of its place."""
    folder = repository / name
    (folder / "1").mkdir(parents=True)
    (folder / "config.pbtxt").write_text('backend: "identity"\n' + config)
    return folder


def copy_config(dtype: str, *dims: int, rest: str = "") -> str:
    """The config of a model with one input `x`, and output `y`, of that data type (`FP32`)."""
    tensor = f"data_type: TYPE_{dtype} dims: {list(dims)}"
    return f'input {{ name: "x" {tensor} }}\noutput {{ name: "y" {tensor} }}\n{rest}\n'


def _compiled(kind: str) -> Path:
    """Return the OM, compiled anew if the compiler or this file has changed since."""
    build, _, flags = _MODELS[kind]
    CACHE.mkdir(parents=True, exist_ok=True)
    om = CACHE / f"{kind}.om"
    if not om.exists() or om.stat().st_mtime < max(ATC.stat().st_mtime, Path(__file__).stat().st_mtime):
        # In one step: another process of the same tests may look.
        with tempfile.TemporaryDirectory(dir=CACHE) as building:
            prefix = Path(building) / kind
            compile_model(build(), prefix, "--precision_mode=must_keep_origin_dtype", *flags).replace(om)
    return om
