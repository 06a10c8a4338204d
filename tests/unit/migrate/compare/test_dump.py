"""Dump files of AscendCL, written here by protobuf's own library from the message that CANN's tools read."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from npuserve.migrate.compare.dump import dumped_tensors, read_dump
from npuserve.migrate.compare.graph import LayerGraph
from npuserve.migrate.compare.layerwise import layer_errors
from npuserve.migrate.compare.precision import FLOAT16
from npuserve.migrate.errors import MigrationError
from onnx import helper
from support.models import FLOAT, Array, graph_input, onnx_model

Field = descriptor_pb2.FieldDescriptorProto
ND, FRACTAL_NZ = 2, 29
TYPES = {np.dtype(np.float32): 1, np.dtype(np.float16): 2}
INT64 = 8
LAYOUT: dict[str, list[tuple[str, int, int, str]]] = {
    "Shape": [("dim", 1, Field.TYPE_UINT64, "many")],
    "OriginalOp": [("name", 1, Field.TYPE_STRING, ""), ("output_index", 2, Field.TYPE_UINT32, "")],
    "OpOutput": [
        ("data_type", 1, Field.TYPE_INT32, ""),
        ("format", 2, Field.TYPE_INT32, ""),
        ("shape", 3, Field.TYPE_MESSAGE, "Shape"),
        ("original_op", 4, Field.TYPE_MESSAGE, "OriginalOp"),
        ("data", 5, Field.TYPE_BYTES, ""),
        ("size", 6, Field.TYPE_UINT64, ""),
    ],
    "OpInput": [("data_type", 1, Field.TYPE_INT32, ""), ("size", 5, Field.TYPE_UINT64, "")],
    "DumpData": [
        ("version", 1, Field.TYPE_STRING, ""),
        ("dump_time", 2, Field.TYPE_UINT64, ""),
        ("output", 3, Field.TYPE_MESSAGE, "OpOutput many"),
        ("input", 4, Field.TYPE_MESSAGE, "OpInput many"),
        ("op_name", 6, Field.TYPE_STRING, ""),
    ],
}


def message_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="dump_data.proto", package="dump", syntax="proto3")
    for name, members in LAYOUT.items():
        message = file.message_type.add(name=name)
        for member, number, kind, detail in members:
            label = Field.LABEL_REPEATED if "many" in detail else Field.LABEL_OPTIONAL
            added = message.field.add(name=member, number=number, type=kind, label=label)
            if kind == Field.TYPE_MESSAGE:
                added.type_name = f".dump.{detail.split()[0]}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("dump.DumpData"))


def write_dump(
    folder: Path, name: str, outputs: Sequence[tuple[Array, str, int]], layout: int = ND, embedded: bool = False
) -> Path:
    """A file of one operator with one input; each output: its value, and the node and index that it belongs to."""
    message = message_class()(version="2.0", dump_time=1, op_name=name)
    given = np.arange(3, dtype=np.int64)
    message.input.add(data_type=INT64, size=given.nbytes)
    for value, node, index in outputs:
        added = message.output.add(data_type=TYPES[value.dtype], format=layout, size=value.nbytes)
        added.shape.dim.extend(value.shape)
        if node:
            added.original_op.name, added.original_op.output_index = node, index
        if embedded:
            added.data = value.tobytes()
    header = message.SerializeToString()
    where = folder / "20261123" / "0" / "model" / "1" / "0"
    where.mkdir(parents=True, exist_ok=True)
    path = where / f"MatMulV2.{name.replace('/', '_')}.3.2.1700000000"
    rest = b"" if embedded else b"".join(value.tobytes() for value, _, _ in outputs)
    path.write_bytes(len(header).to_bytes(8, "little") + header + given.tobytes() + rest)
    return path


def two_layers() -> onnx.ModelProto:
    return onnx_model(
        [helper.make_node("Add", ["x", "x"], ["a"], name="add"), helper.make_node("Tanh", ["a"], ["y"], name="tanh")],
        [graph_input("x", FLOAT, [2, 3])],
        [graph_input("y", FLOAT, [2, 3])],
    )


@pytest.mark.parametrize("embedded", [False, True])
def test_outputs_are_found_by_the_node_they_belong_to(tmp_path: Path, embedded: bool) -> None:
    first = np.arange(6, dtype=np.float16).reshape(2, 3)
    second = np.linspace(0, 1, 6, dtype=np.float32).reshape(2, 3)
    write_dump(tmp_path, "add_tanh_fused", [(first, "add", 0), (second, "tanh", 0)], embedded=embedded)
    found, left_out = dumped_tensors(LayerGraph(two_layers()), tmp_path)
    assert left_out == []
    np.testing.assert_array_equal(found["a"], first)
    np.testing.assert_array_equal(found["y"], second)


def test_an_operator_without_an_original_goes_by_its_own_name(tmp_path: Path) -> None:
    value = np.ones((2, 3), np.float32)
    write_dump(tmp_path, "tanh", [(value, "", 0)])
    found, _ = dumped_tensors(LayerGraph(two_layers()), tmp_path)
    np.testing.assert_array_equal(found["y"], value)


def test_a_dump_takes_the_place_of_extra_outputs(tmp_path: Path) -> None:
    graph = LayerGraph(two_layers())
    x = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)
    right = {"x": x, "a": 2 * x, "y": np.tanh(2 * x)}
    write_dump(tmp_path, "add", [((2 * x).astype(np.float16), "add", 0)])
    write_dump(tmp_path, "tanh", [((np.tanh(2 * x) * 1.5).astype(np.float16), "tanh", 0)])
    found, _ = dumped_tensors(graph, tmp_path)
    add, tanh = layer_errors(graph, right, found, FLOAT16)
    assert not add.jumps(FLOAT16)
    assert tanh.jumps(FLOAT16)


def test_what_cannot_be_used_is_told(tmp_path: Path) -> None:
    value = np.ones((2, 3), np.float32)
    write_dump(tmp_path, "tanh", [(value, "", 0)], layout=FRACTAL_NZ)
    write_dump(tmp_path, "cast", [(value, "", 0)])
    found, left_out = dumped_tensors(LayerGraph(two_layers()), tmp_path)
    assert found == {}
    assert sorted(left_out) == [
        "cast:0 is no output of the ONNX graph",
        "y: format 29 is tiled, its elements are not in order",
    ]


def test_damaged_files_are_refused_wherever_they_end(tmp_path: Path) -> None:
    path = write_dump(tmp_path, "tanh", [(np.ones((2, 3), np.float32), "", 0)])
    whole = path.read_bytes()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(MigrationError, match="is no dump file of AscendCL"):
            list(read_dump(tmp_path))


def test_a_folder_without_dumps_is_named(tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match="there is no dump file"):
        list(read_dump(tmp_path))
