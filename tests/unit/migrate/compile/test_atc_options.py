"""Options of atc: which flags they become, and which contradictions are told before it runs."""

from pathlib import Path
from typing import Any

import pytest
from npuserve.migrate.chain.settings import CompileSettings
from npuserve.migrate.compile.atc_options import AtcOptions, atc_options
from npuserve.migrate.compile.contradictions import check_quantized_gears
from npuserve.migrate.compile.gears import BATCH, LENGTH, Shapes
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.gear_flags import atc_flags

NAMES = ("input_ids", "attention_mask")


def shapes(batches: tuple[int, ...] = (1, 4), lengths: tuple[int, ...] = (16, 32)) -> Shapes:
    return Shapes(inputs={name: (BATCH, LENGTH) for name in NAMES}, batches=batches, lengths=lengths)


def flags(settings: CompileSettings, of: Shapes | None = None) -> list[str]:
    return atc_options(settings, Path("/m/model.onnx"), Path("/o/model.om"), of or shapes()).flags()


def options(**changes: Any) -> AtcOptions:
    given: dict[str, Any] = {
        "model": Path("model.onnx"),
        "output": Path("model.om"),
        "soc_version": "Ascend910B3",
        "shapes": {"x": (-1, -1)},
        "dim_gears": ((1, 16), (4, 16)),
    }
    return AtcOptions(**{**given, **changes})


def refusal(**changes: Any) -> str:
    with pytest.raises(MigrationError) as caught:
        options(**changes)
    return str(caught.value)


def test_flags_say_what_is_compiled_for_what() -> None:
    assert flags(CompileSettings()) == [
        "--model=/m/model.onnx",
        "--framework=5",
        "--output=/o/model",
        "--soc_version=Ascend910B3",
        "--input_format=ND",
        "--input_shape=input_ids:-1,-1;attention_mask:-1,-1",
        "--dynamic_dims=1,16,1,16;1,32,1,32;4,16,4,16;4,32,4,32",
        "--precision_mode=must_keep_origin_dtype",
    ]


@pytest.mark.parametrize("batches", [(1,), (1, 4)])
@pytest.mark.parametrize("lengths", [(16,), (16, 32)])
def test_gears_are_written_as_the_plan_command_prints_them(batches: tuple[int, ...], lengths: tuple[int, ...]) -> None:
    assert set(atc_flags(NAMES, batches, lengths)) <= set(flags(CompileSettings(), shapes(batches, lengths)))


def test_gears_of_the_batch_alone_are_batch_gears() -> None:
    of = Shapes(inputs={"x": (BATCH, 4), "table": (3,)}, batches=(1, 2, 8))
    assert flags(CompileSettings(), of)[5:7] == ["--input_shape=x:-1,4;table:3", "--dynamic_batch_size=1,2,8"]


def test_int8_computes_the_rest_in_half_precision() -> None:
    assert "--precision_mode=force_fp16" in flags(CompileSettings(precision="int8"))


def test_more_flags_come_after_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    extra = ("--op_select_implmode=high_precision", "--optypelist_for_implmode=Gelu,SoftmaxV2", "--log=info")
    found = flags(CompileSettings(extra=(*extra, "--deterministic=1", "--insert_op_conf=a.cfg")))
    assert set(extra) < set(found)
    # Files are absolute, as the compiler runs elsewhere.
    assert found[-2:] == ["--deterministic=1", f"--insert_op_conf={tmp_path / 'a.cfg'}"]


def test_the_second_precision_flag_takes_the_defaults_place() -> None:
    found = flags(CompileSettings(extra=("--precision_mode_v2=origin",)))
    assert "--precision_mode_v2=origin" in found
    assert not any(flag.startswith("--precision_mode=") for flag in found)


@pytest.mark.parametrize(
    ("extra", "told", "advice"),
    [
        ("--precison_mode_v2=fp16", "atc has no flag --precison_mode_v2", "write --precision_mode_v2"),
        ("--log=loud", "--log is 'loud', it must be one of debug, info", ""),
        ("--deterministic=", "--deterministic", ""),
        ("log=info", "extra holds 'log=info', which is no flag with a value", "--name=value"),
        ("--log", "extra holds '--log', which is no flag with a value", "--name=value"),
        ("--dynamic_dims=1,2;3,4", "--dynamic_dims, which has its place elsewhere", "batches and lengths"),
        ("--soc_version=Ascend310", "--soc_version, which has its place elsewhere", "soc_version under [compile]"),
        ("--model=x.onnx", "--model, which has its place elsewhere", "the export's model.onnx"),
    ],
)
def test_a_wrong_flag_is_told_with_the_right_one(extra: str, told: str, advice: str) -> None:
    with pytest.raises(MigrationError) as caught:
        flags(CompileSettings(extra=(extra,)))
    assert told in str(caught.value)
    assert advice in " ".join(caught.value.advice)


def test_a_flag_is_given_once() -> None:
    with pytest.raises(MigrationError, match="extra holds --log twice"):
        flags(CompileSettings(extra=("--log=info", "--log=debug")))


def test_a_flag_of_a_newer_compiler_passes() -> None:
    assert flags(CompileSettings(extra=("--quite_new=7",)))[-1] == "--quite_new=7"


def test_a_precision_that_there_is_not_is_refused() -> None:
    with pytest.raises(MigrationError, match=r"precision is 'fp8', it must be one of force_fp16.*, int8"):
        flags(CompileSettings(precision="fp8"))


def test_a_chip_that_there_is_not_is_refused() -> None:
    with pytest.raises(MigrationError, match="soc_version is '910B3', which names no chip"):
        flags(CompileSettings(soc_version="910B3"))


@pytest.mark.parametrize("precision", ["force_fp16", "must_keep_origin_dtype"])
def test_a_mix_list_needs_mixed_precision(precision: str, tmp_path: Path) -> None:
    path = tmp_path / "mix.json"
    path.write_text('{"black-list": {"to-add": ["SoftmaxV2"]}}')
    with pytest.raises(MigrationError, match=f"a mix list is given with {precision}") as caught:
        flags(CompileSettings(precision=precision, mix_list=path))
    assert caught.value.advice[0] == "set precision = 'allow_mix_precision' under [compile]"
    assert f"--modify_mixlist={path}" in flags(CompileSettings(precision="allow_mix_precision", mix_list=path))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "the mix list cannot be read"),
        ("{", "the mix list is no JSON"),
        ('{"grey-list": {}}', "the mix list is not of its form"),
        ('{"black-list": {"add": []}}', "the mix list is not of its form"),
        ('{"black-list": {"to-add": "SoftmaxV2"}}', "the mix list is not of its form"),
        ('{"black-list": {"to-add": [1]}}', "the mix list is not of its form"),
    ],
)
def test_a_mix_list_is_read_before_the_compiler_does(content: str | None, told: str, tmp_path: Path) -> None:
    path = tmp_path / "mix.json"
    if content is not None:
        path.write_text(content)
    assert told in refusal(precision_mode="allow_mix_precision", modify_mixlist=path)


def test_two_precision_flags_exclude_each_other() -> None:
    assert "exclude each other" in refusal(precision_mode="force_fp16", precision_mode_v2="fp16")


def test_keeping_types_needs_a_mode_that_lowers_them(tmp_path: Path) -> None:
    path = tmp_path / "keep.txt"
    assert "has no effect" in refusal(precision_mode="must_keep_origin_dtype", keep_dtype=path)
    assert "is not there" in refusal(precision_mode="force_fp16", keep_dtype=path)
    path.write_text("OpType::SoftmaxV2\n")
    assert f"--keep_dtype={path}" in options(precision_mode="force_fp16", keep_dtype=path).flags()


def test_types_of_operators_need_a_choice_of_kernels() -> None:
    assert "needs --op_select_implmode" in refusal(optypelist_for_implmode=("Gelu",))
    told = refusal(optypelist_for_implmode=("Gelu",), op_select_implmode="high_precision_for_all")
    assert "which is high_precision_for_all" in told


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"shapes": {"x": (8, -1)}, "dim_gears": ((16,), (32,))}, "input x has the static batch 8"),
        (
            {"shapes": {"x": (8, 16)}},
            "gears are given, and no input has an axis that varies, they are all fixed: x 8,16",
        ),
        ({"dim_gears": ()}, "input x has an axis of -1, and there are no gears"),
        ({"batch_gears": (1, 2)}, "exclude each other"),
        ({"dim_gears": ((1, 16),)}, "--dynamic_dims has one gear, the compiler takes 2 to 100"),
        (
            {"dim_gears": tuple((1, n) for n in range(1, 102))},
            "--dynamic_dims has 101 gears, the compiler takes 2 to 100",
        ),
        ({"dim_gears": ((1, 16), (1, 16))}, "the same gear twice"),
        ({"dim_gears": ((1, 16), (0, 16))}, "a gear with 0, which must be positive"),
        ({"dim_gears": ((1, 16), (4,))}, "the inputs have 2 axes of -1, and a gear of --dynamic_dims has 1 values: 4"),
        ({"input_format": "NCHW"}, "--dynamic_dims needs --input_format=ND"),
        ({"shapes": {"x": (-1, 0)}}, "input x has an axis of 0"),
        ({"shapes": {"x": (-1, 4)}, "dim_gears": (), "batch_gears": (1, 4096)}, "has 4096, above 2048"),
        ({"dim_gears": (), "batch_gears": (1, 2)}, "input x has -1 in another axis"),
        ({"shapes": {"x": (-1, *[2] * 128)}, "dim_gears": ((1,), (2,))}, "129 axes together"),
    ],
)
def test_gears_that_contradict_the_shapes_or_the_limits_are_refused(changes: dict[str, Any], told: str) -> None:
    assert told in refusal(**changes)


def test_settings_that_make_too_many_gears_are_refused_before_anything_runs() -> None:
    with pytest.raises(
        MigrationError, match="11 batches and 10 lengths make 110 gears, the compiler takes at most 100"
    ):
        CompileSettings(batches=tuple(range(1, 12)), lengths=tuple(range(8, 88, 8)))


@pytest.mark.parametrize("mode", ["must_keep_origin_dtype", "force_fp32"])
def test_a_quantized_model_does_not_keep_single_precision(mode: str) -> None:
    assert "an int8 model cannot be compiled with" in refusal(quantized=True, precision_mode=mode)


def test_a_quantized_model_with_gears_is_refused_for_the_vendors_compiler() -> None:
    with pytest.raises(MigrationError, match="CANN converts quantized models with fixed shapes only"):
        check_quantized_gears(4)
    check_quantized_gears(0)
