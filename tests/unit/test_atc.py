"""The compiler's command line: flags, their combinations, error codes, exit codes, and the files it writes."""

import re
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import onnx
import pytest
from onnx import helper
from support.acl import Acl, AclError
from support.emulator import run_atc
from support.models import FLOAT, add_mul, compile_model, graph_input, identity, onnx_model, tokens

Atc = Callable[..., CompletedProcess[str]]
SUCCESS = "ATC run success, welcome to the next use."
FAILURE = "ATC run failed, Please check the detail log, Try 'atc --help' for more information"
HEADER_BYTES = 256


@pytest.fixture
def atc(tmp_path: Path) -> Atc:
    """Runs atc on the model `tokens` with valid flags; those given come behind, so that they win."""
    source = tmp_path / "tokens.onnx"
    onnx.save(tokens(), str(source))

    def run(*flags: str, without: tuple[str, ...] = ()) -> CompletedProcess[str]:
        valid = {
            "model": str(source),
            "framework": "5",
            "output": str(tmp_path / "out"),
            "soc_version": "Ascend910B3",
            "input_format": "ND",
            "input_shape": "input_ids:2,8;attention_mask:2,8",
        }
        return run_atc(*(f"--{name}={value}" for name, value in valid.items() if name not in without), *flags)

    return run


def assert_fails(result: CompletedProcess[str], code: str, *texts: str) -> None:
    assert result.returncode == 255
    assert FAILURE in result.stdout
    assert SUCCESS not in result.stdout
    match = re.search(r"^(\w+): \[PID: \d+\] \d{4}-\d\d-\d\d-\d\d:\d\d:\d\d\.\d{3}\.\d{3} (.*)$", result.stdout, re.M)
    assert match, result.stdout
    assert match[1] == code, result.stdout
    for text in texts:
        assert text in result.stdout


def test_success_is_told_as_the_vendor_tells_it(atc: Atc, tmp_path: Path) -> None:
    result = atc()
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert lines == ["ATC start working now, please wait for a moment.", "...", SUCCESS]
    assert (tmp_path / "out.om").stat().st_size > HEADER_BYTES


def test_the_header_is_the_vendors_with_our_marker(atc: Atc, tmp_path: Path) -> None:
    atc("--input_shape=input_ids:-1,-1;attention_mask:-1,-1", "--dynamic_dims=1,8,1,8;2,8,2,8")
    header = (tmp_path / "out.om").read_bytes()[:HEADER_BYTES]
    assert header[:4] == b"IMOD"
    assert struct.unpack_from("<III", header) == (0x444F4D49, HEADER_BYTES, 0x20000000)
    assert header[84:87] == b"out"
    assert header[120:152].startswith(b"npuserve emulator")
    assert struct.unpack_from("<Q", header, 184)[0] == (tmp_path / "out.om").stat().st_size - HEADER_BYTES
    assert header[193] == 0, "models with gears are static ones"


def test_flags_may_be_separated_by_a_blank(tmp_path: Path) -> None:
    onnx.save(identity(), str(tmp_path / "m.onnx"))
    result = run_atc(
        *("--model", str(tmp_path / "m.onnx"), "--framework", "5", "--output", str(tmp_path / "m")),
        *("--soc_version", "Ascend910B3", "--input_shape", "x:1,4"),
    )
    assert result.returncode == 0, result.stdout


def test_help_lists_the_flags() -> None:
    result = run_atc("--help")
    assert result.returncode == 0
    assert "--dynamic_dims" in result.stdout


@pytest.mark.parametrize("flag", ["model", "framework", "output", "soc_version"])
def test_a_required_flag_must_be_given_and_not_empty(flag: str, atc: Atc) -> None:
    assert_fails(atc(without=(flag,)), "E10007", f"--{flag}")
    assert_fails(atc(f"--{flag}="), "E10008", f"--{flag}")


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("mode", "7"),
        ("framework", "9"),
        ("framework", "onnx"),
        ("soc_version", "A100"),
        ("soc_version", "Ascend910B9"),
        ("input_format", "NHWC"),
        ("precision_mode", "fp16"),
        ("precision_mode_v2", "force_fp16"),
        ("precision_mode_v2", "mixed_hif8"),
        ("log", "verbose"),
        ("op_debug_level", "9"),
        ("op_select_implmode", "fast"),
        ("deterministic", "yes"),
        ("display_model_info", "2"),
        ("external_weight", "3"),
        ("output_type", "FLOAT"),
        ("no_such_flag", "1"),
    ],
)
def test_a_bad_value_is_refused(flag: str, value: str, atc: Atc) -> None:
    assert_fails(atc(f"--{flag}={value}"), "E10001", value)


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("log", "error"),
        ("op_debug_level", "0"),
        ("op_select_implmode", "high_precision"),
        ("deterministic", "1"),
        ("display_model_info", "1"),
        ("external_weight", "0"),
        ("output_type", "FP16"),
        ("precision_mode", "force_fp32"),
        ("precision_mode_v2", "mixed_bfloat16"),
        ("check_report", "report.json"),
    ],
)
def test_a_valid_value_is_taken(flag: str, value: str, atc: Atc) -> None:
    result = atc(f"--{flag}={value}")
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    "flag",
    [
        "--mode=1",
        "--framework=3",
        "--insert_op_conf=aipp.cfg",
        "--dynamic_image_size=8,8;16,16",
        "--input_shape_range=input_ids:[1~8,8]",
        "--external_weight=1",
        "--customize_dtypes=types.cfg",
        "--compression_optimize_conf=c.cfg",
        "--op_precision_mode=op.ini",
        "--input_shape=input_ids:1~4,8;attention_mask:2,8",
    ],
)
def test_what_the_emulator_cannot_do_is_refused_and_not_ignored(flag: str, atc: Atc) -> None:
    assert_fails(atc(flag), "E10055", "emulator")


@pytest.mark.parametrize(
    ("shape", "code"),
    [
        ("input_ids", "E10002"),
        (":2,8", "E10002"),
        ("input_ids:2,a;attention_mask:2,8", "E10002"),
        ("input_ids:2,8;input_ids:2,8", "E10002"),
        ("input_ids:0,8;attention_mask:2,8", "E10011"),
        ("input_ids:-2,8;attention_mask:2,8", "E10011"),
        ("input_ids:-1,8;attention_mask:-1,8", "E10011"),
        ("ids:2,8;attention_mask:2,8", "E10016"),
        ("input_ids:2,8", "E10001"),
        ("input_ids:2,8,1;attention_mask:2,8", "E10001"),
    ],
)
def test_a_bad_input_shape_is_refused(shape: str, code: str, atc: Atc) -> None:
    assert_fails(atc(f"--input_shape={shape}"), code)


BATCH = "--input_shape=input_ids:-1,8;attention_mask:-1,8"
BOTH = "--input_shape=input_ids:-1,-1;attention_mask:-1,-1"


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        ((BATCH, "--dynamic_batch_size=4"), "E10035"),
        ((BATCH, "--dynamic_batch_size=" + ",".join(str(n) for n in range(1, 102))), "E10036"),
        ((BATCH, "--dynamic_batch_size=1,x"), "E10003"),
        ((BATCH, "--dynamic_batch_size=0,1"), "E10038"),
        ((BATCH, "--dynamic_batch_size=2,2"), "E10039"),
        ((BOTH, "--dynamic_batch_size=1,2"), "E10018"),
        (("--dynamic_batch_size=1,2",), "E10031"),
        (("--input_shape=", "--dynamic_batch_size=1,2"), "E10007"),
        ((BOTH, "--dynamic_dims=1,8,1,8"), "E10035"),
        ((BOTH, "--dynamic_dims=1,8,1,8;1,8,1"), "E10037"),
        ((BOTH, "--dynamic_dims=1,8,1,8;1,8,1,8"), "E10039"),
        ((BOTH, "--dynamic_dims=1,8,1,8;1,-8,1,8"), "E10038"),
        ((BOTH, "--dynamic_dims=1,8;2,8"), "E10046"),
        ((BATCH, "--dynamic_dims=1,1,1;2,2,2"), "E10045"),
        (("--dynamic_dims=1;2",), "E10040"),
        (("--input_shape=input_ids:1~4,-1;attention_mask:-1,-1", "--dynamic_dims=1,8;2,8"), "E10040"),
        ((BOTH, "--dynamic_dims=1,8,1,8;2,8,2,8", "--input_format=NCHW"), "E10001"),
        ((BATCH, "--dynamic_batch_size=1,2", "--dynamic_dims=1,1;2,2"), "E10009"),
        ((BATCH, "--dynamic_batch_size=1,2", "--dynamic_image_size=1,1;2,2"), "E10009"),
        (("--precision_mode=force_fp16", "--precision_mode_v2=fp16"), "E10056"),
        (("--optypelist_for_implmode=Gelu",), "E10055"),
        (("--input_fp16_nodes=nothing",), "E10016"),
        (("--out_nodes=nothing:0",), "E10016"),
        (("--output_type=head:0:FP16",), "E10001"),
    ],
)
def test_gears_and_combinations_follow_the_vendors_rules(flags: tuple[str, ...], code: str, atc: Atc) -> None:
    assert_fails(atc(*flags), code)


@pytest.mark.parametrize("mode", ["--precision_mode=force_fp16", "--precision_mode_v2=origin", "--log=null"])
def test_a_mix_list_needs_mixed_precision(mode: str, atc: Atc, tmp_path: Path) -> None:
    mixlist = tmp_path / "mix.json"
    mixlist.write_text("{}")
    assert_fails(atc(mode, f"--modify_mixlist={mixlist}"), "E10001", "--modify_mixlist")


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"black": {}}', '{"black-list": []}', '{"black-list": {"add": []}}', '{"white-list": {"to-add": [1]}}'],
)
def test_a_malformed_mix_list_is_refused(text: str, atc: Atc, tmp_path: Path) -> None:
    mixlist = tmp_path / "mix.json"
    mixlist.write_text(text)
    assert_fails(atc("--precision_mode=allow_mix_precision", f"--modify_mixlist={mixlist}"), "E10001", "mix.json")


def test_fusion_switches_are_checked(atc: Atc, tmp_path: Path) -> None:
    switches = tmp_path / "fusion.cfg"
    for text in ("SoftmaxFusionPass:off\n", '{"Switch": {"GraphFusion": {"ALL": "off"}}}'):
        switches.write_text(text)
        assert atc(f"--fusion_switch_file={switches}").returncode == 0
    for text in ("SoftmaxFusionPass\n", '{"Switch": {"GraphFusion": {"ALL": "no"}}}'):
        switches.write_text(text)
        assert_fails(atc(f"--fusion_switch_file={switches}"), "E10001")


def test_keep_dtype_must_name_operators_of_the_model(atc: Atc, tmp_path: Path) -> None:
    keep = tmp_path / "keep.txt"
    keep.write_text("sum\nnothing\n")
    assert_fails(atc(f"--keep_dtype={keep}"), "E10016", "nothing")
    assert_fails(atc("--keep_dtype=/nowhere"), "E13001", "/nowhere")


def test_a_missing_or_broken_model_is_refused(atc: Atc, tmp_path: Path) -> None:
    assert_fails(atc("--model=/nowhere.onnx"), "E13001", "/nowhere.onnx")
    broken = tmp_path / "broken.onnx"
    for content in (b"", b"not a model", (tmp_path / "tokens.onnx").read_bytes()[:-20]):
        broken.write_bytes(content)
        assert_fails(atc(f"--model={broken}"), "E16001")


def test_an_operator_without_a_parser_is_refused(atc: Atc, tmp_path: Path) -> None:
    node = helper.make_node("Frobnicate", ["x"], ["y"], domain="nobody")
    graph = helper.make_graph([node], "g", [graph_input("x", FLOAT, [1])], [graph_input("y", FLOAT, [1])])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("nobody", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(tmp_path / "odd.onnx"))
    result = atc(f"--model={tmp_path / 'odd.onnx'}", "--input_shape=x:1")
    assert_fails(result, "E19010", "Frobnicate")


def test_an_output_shape_that_depends_on_values_is_refused(atc: Atc, tmp_path: Path) -> None:
    model = onnx_model(
        [helper.make_node("NonZero", ["x"], ["y"])],
        [graph_input("x", FLOAT, [4])],
        [graph_input("y", onnx.TensorProto.INT64, [1, "n"])],
    )
    onnx.save(model, str(tmp_path / "values.onnx"))
    assert_fails(atc(f"--model={tmp_path / 'values.onnx'}", "--input_shape=x:4"), "EZ3003", "[y]")


def test_an_unwritable_output_is_refused(atc: Atc) -> None:
    assert_fails(atc("--output=/nowhere/at/all"), "E13001", "/nowhere/at/all.om")


def test_mode_6_shows_what_the_om_holds(atc: Atc, tmp_path: Path) -> None:
    atc(BOTH, "--dynamic_dims=1,8,1,8;2,16,2,16", "--precision_mode=must_keep_origin_dtype")
    shown = run_atc("--mode=6", f"--om={tmp_path / 'out.om'}")
    assert shown.returncode == 0
    for text in (
        "--dynamic_dims=1,8,1,8;2,16,2,16",
        "soc version[Ascend910B3]",
        "precision mode: must_keep_origin_dtype",
        "input_ids INT64 [-1,-1]",
        "head:0:logits FP32 [2,16,3]",
        "[2,16,2,16]",
        "ReduceSum FP32 1",
    ):
        assert text in shown.stdout
    assert_fails(run_atc("--mode=6"), "E10007", "--om")
    assert_fails(run_atc("--mode=6", "--om=/nowhere.om"), "E13001", "/nowhere.om")


# Files that are no models.


@pytest.fixture(scope="module")
def acl() -> Iterator[Acl]:
    with Acl() as library:
        yield library


@pytest.fixture
def om(tmp_path: Path) -> Path:
    return compile_model(add_mul(), tmp_path / "model", "--input_shape=a:2,4;b:2,4")


def load_failure(acl: Acl, path: Path) -> AclError:
    with pytest.raises(AclError) as failure:
        acl.load(path)
    return failure.value


def test_a_missing_or_empty_om_is_refused(acl: Acl, tmp_path: Path) -> None:
    assert load_failure(acl, tmp_path / "missing.om").code == 145002
    (tmp_path / "empty.om").touch()
    failure = load_failure(acl, tmp_path / "empty.om")
    assert failure.code == 145002
    assert "aclmdlLoadFromFile" in failure.text
    assert "empty" in failure.text


def test_an_om_truncated_anywhere_is_refused(acl: Acl, om: Path) -> None:
    content = om.read_bytes()
    for size in (1, 255, 256, 300, len(content) // 2, len(content) - 1):
        om.write_bytes(content[:size])
        assert load_failure(acl, om).code == 145006, size


def test_an_om_damaged_anywhere_is_refused(acl: Acl, om: Path) -> None:
    content = om.read_bytes()
    random = np.random.default_rng(0)
    sections = [struct.unpack_from("<QQ", content, HEADER_BYTES + 24 * index) for index in range(3)]
    for offset, size in sections:
        for position in offset + random.integers(0, max(size, 1), 5 if size else 0):
            damaged = bytearray(content)
            damaged[position] ^= 0x10
            om.write_bytes(damaged)
            failure = load_failure(acl, om)
            assert failure.code == 545002
            assert "damaged" in failure.text


def test_a_vendor_made_om_is_refused_with_the_way_out(acl: Acl, om: Path) -> None:
    content = bytearray(om.read_bytes())
    content[120:152] = bytes(32)
    om.write_bytes(content)
    failure = load_failure(acl, om)
    assert failure.code == 545001
    assert "compiled by the vendor's atc" in failure.text
    assert "Recompile" in failure.text
    assert_fails(run_atc("--mode=6", f"--om={om}"), "E13001", "vendor")


def test_another_file_is_refused(acl: Acl, om: Path) -> None:
    om.write_bytes(b"\x00" * 1000)
    assert load_failure(acl, om).code == 500002


def test_an_om_for_another_chip_is_refused(acl: Acl, tmp_path: Path) -> None:
    om = compile_model(identity(), tmp_path / "b4", "--input_shape=x:1,4", "--soc_version=Ascend910B4")
    failure = load_failure(acl, om)
    assert failure.code == 500002
    assert "Ascend910B4" in failure.text
    assert "Ascend910B3" in failure.text


# What the flags for ports do.


def test_chosen_outputs_are_named_node_index_tensor(acl: Acl, tmp_path: Path) -> None:
    om = compile_model(
        tokens(),
        tmp_path / "chosen",
        "--input_shape=input_ids:2,8;attention_mask:2,8",
        "--out_nodes=sum:0;logits",
        "--output_type=sum:0:FP16",
        "--precision_mode=must_keep_origin_dtype",
    )
    model = acl.load(om)
    assert [(tensor.name, tensor.dtype, tensor.dims) for tensor in model.outputs] == [
        ("sum:0:sum", np.dtype(np.float16), (2, 1)),
        ("head:0:logits", np.dtype(np.float32), (2, 8, 3)),
    ]
    ids = np.arange(16, dtype=np.int64).reshape(2, 8)
    sums, logits = model.run([ids, np.ones_like(ids)])
    assert sums.tolist() == [[28], [92]]
    assert np.array_equal(logits[..., 0], ids)
    model.unload()


def test_inputs_can_become_half(acl: Acl, tmp_path: Path) -> None:
    model = acl.load(compile_model(add_mul(), tmp_path / "half", "--input_shape=a:2,4;b:2,4", "--input_fp16_nodes=b"))
    assert [tensor.dtype for tensor in model.inputs] == [np.float32, np.float16]
    a, b = np.full((2, 4), 1.5, np.float32), np.full((2, 4), 2.5, np.float16)
    total, product = model.run([a, b])
    assert np.all(total == 4)
    assert np.all(product == 3.75)
    model.unload()


def test_a_gear_beyond_32_bits_is_refused(atc: Atc) -> None:
    result = atc("--input_shape=input_ids:-1,8;attention_mask:-1,8", "--dynamic_batch_size=1,4294967297")
    assert_fails(result, "E10038", "4294967297")


def test_a_gear_whose_bytes_overflow_is_refused(tmp_path: Path) -> None:
    dims = ["a", "b", "c"]
    model = onnx_model(
        [helper.make_node("Identity", ["x"], ["y"], name="identity")],
        [graph_input("x", FLOAT, dims)],
        [graph_input("y", FLOAT, dims)],
    )
    source = tmp_path / "identity.onnx"
    onnx.save(model, str(source))
    flags = ["--framework=5", f"--model={source}", f"--output={tmp_path / 'out'}", "--soc_version=Ascend910B3"]
    gears = ["--input_format=ND", "--input_shape=x:-1,-1,-1", "--dynamic_dims=1,1,4;2097152,2097152,1048576"]
    result = run_atc(*flags, *gears)
    assert result.returncode == 255
    assert "more bytes than 64 bits count" in result.stdout


def test_a_chip_name_of_any_length_is_refused(atc: Atc) -> None:
    assert_fails(atc("--soc_version=Ascend950" + 30_000 * "A"), "E10001", "soc_version")


def test_more_axes_than_a_gear_can_describe_are_refused(tmp_path: Path) -> None:
    names = [f"x{index}" for index in range(43)]
    model = onnx_model(
        [helper.make_node("Identity", [name], [f"y_{name}"], name=name) for name in names],
        [graph_input(name, FLOAT, [name, 1, 1]) for name in names],
        [graph_input(f"y_{name}", FLOAT, [name, 1, 1]) for name in names],
    )
    source = tmp_path / "wide.onnx"
    onnx.save(model, str(source))
    shapes = ";".join(f"{name}:-1,1,1" for name in names)
    gears = ";".join(",".join([rows] * len(names)) for rows in ("1", "2"))
    flags = ["--framework=5", f"--model={source}", f"--output={tmp_path / 'out'}", "--soc_version=Ascend910B3"]
    result = run_atc(*flags, "--input_format=ND", f"--input_shape={shapes}", f"--dynamic_dims={gears}")
    assert_fails(result, "E10055", "129 axes")
