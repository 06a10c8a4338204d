"""The shipped table's column of the emulator, against the reader that the emulator's compiler uses."""

from pathlib import Path

import onnx
import openvino
from npuserve.migrate.compile.operators import shipped_table
from onnx import TensorProto, defs, helper

NEWEST = 18
UNKNOWN = "No conversion rule found for operations"


def model_of(name: str) -> onnx.ModelProto:
    """A model of this operator alone; what it is given fits only by chance, which is enough to be known."""
    versions = [
        each.since_version for each in defs.get_all_schemas_with_history() if (each.domain, each.name) == ("", name)
    ]
    opset = max(NEWEST, min(versions))
    schema = defs.get_schema(name, opset, "")
    inputs = [f"i{index}" for index in range(max(schema.min_input, min(1, schema.max_input)))]
    outputs = [f"o{index}" for index in range(max(schema.min_output, 1))]
    graph = helper.make_graph(
        [helper.make_node(name, inputs, outputs)],
        "graph",
        [helper.make_tensor_value_info(each, TensorProto.FLOAT, [2, 2]) for each in inputs],
        [helper.make_tensor_value_info(each, TensorProto.FLOAT, None) for each in outputs],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def test_the_emulator_reads_what_the_table_says(tmp_path: Path) -> None:
    core = openvino.Core()
    listed = set(shipped_table()["emulator"]["operators"])
    wrong = []
    path = tmp_path / "model.onnx"
    for name in sorted({each.name for each in defs.get_all_schemas_with_history() if each.domain == ""}):
        path.write_bytes(model_of(name).SerializeToString())
        try:
            core.read_model(str(path))
            known = True
        except RuntimeError as error:
            known = UNKNOWN not in str(error)
        if known != (name in listed):
            wrong.append(name)
    assert wrong == []


def test_the_table_is_of_the_release_that_the_emulator_links() -> None:
    release = ".".join(openvino.__version__.split("-")[0].split(".")[:3])
    assert shipped_table()["emulator"]["version"] == f"OpenVINO {release}"


def test_the_vendors_names_are_onnx_names() -> None:
    known = {each.name for each in defs.get_all_schemas_with_history() if each.domain == ""}
    assert set(shipped_table()["cann"]["operators"]) <= known
