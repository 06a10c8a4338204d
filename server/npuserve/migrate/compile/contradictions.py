"""What `atc` would refuse, or accept and make useless, found before it runs. All raise MigrationError."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from npuserve.migrate.errors import MigrationError
from npuserve.migrate.options import MAX_BATCH, MAX_GEARS

# A gear is the shapes of all inputs in one aclmdlIODims, which has so many places.
MAX_AXES = 128
_MIXED = ("allow_mix_precision", "allow_mix_precision_fp16", "allow_mix_precision_bf16")
_MIXED_V2 = ("mixed_float16", "mixed_bfloat16", "mixed_hif8")
_KEEPS_ALL = ("must_keep_origin_dtype", "origin")
# With quantized models the vendor excludes what would compute the rest in single precision.
_NOT_QUANTIZED = ("force_fp32", "cube_fp16in_fp32out", "must_keep_origin_dtype", "origin")


def check_gears(
    shapes: Mapping[str, Sequence[int]],
    batch_gears: Sequence[int],
    dim_gears: Sequence[Sequence[int]],
    input_format: str,
) -> None:
    """Check gears against the shapes and the limits."""
    if batch_gears and dim_gears:
        raise MigrationError(
            "batch gears and gears of all axes are given together, which exclude each other",
            "give gears of all axes, each with its batch",
        )
    for name, dims in shapes.items():
        _check_dims(name, dims)
    flag = "--dynamic_batch_size" if batch_gears else "--dynamic_dims"
    gears = [(batch,) for batch in batch_gears] if batch_gears else [tuple(gear) for gear in dim_gears]
    varying = [name for name, dims in shapes.items() if -1 in dims]
    if not gears:
        if varying:
            raise MigrationError(
                f"input {varying[0]} has an axis of -1, and there are no gears to say which sizes it may have",
                "name batches and lengths under [compile]",
            )
        return
    _check_static_batch(shapes, varying)
    _check_numbers(gears, flag)
    if batch_gears:
        _check_batch_gears(shapes, batch_gears)
        return
    if input_format != "ND":
        raise MigrationError(
            f"--dynamic_dims needs --input_format=ND, which is {input_format}", "take input_format out of extra"
        )
    _check_dim_gears(shapes, gears)


def check_precision(mode: str, mode_v2: str, *, mix_list: Path | None, keep_dtype: Path | None) -> None:
    """Check the precision modes, and the files that go with some of them."""
    if mode and mode_v2:
        raise MigrationError(
            f"--precision_mode={mode} and --precision_mode_v2={mode_v2} exclude each other",
            "leave one of them: precision under [compile], or --precision_mode_v2 in extra",
        )
    given = mode or mode_v2 or "force_fp16 (the default)"
    if mix_list is not None:
        if mode not in _MIXED and mode_v2 not in _MIXED_V2:
            raise MigrationError(
                f"a mix list is given with {given}, which computes everything alike: it needs mixed precision",
                "set precision = 'allow_mix_precision' under [compile]",
                "take mix_list out",
            )
        _check_mix_list(mix_list)
    if keep_dtype is not None:
        if (mode or mode_v2) in _KEEPS_ALL:
            raise MigrationError(
                f"--keep_dtype has no effect with {given}, which keeps every operator's precision",
                "take --keep_dtype out of extra, or choose a mode that lowers the precision",
            )
        if not keep_dtype.is_file():
            raise MigrationError(f"the file of --keep_dtype is not there: {keep_dtype}")


def check_kernels(mode: str, types: Sequence[str]) -> None:
    """Check the choice of kernels for some types of operators."""
    if types and (not mode or mode.endswith("_for_all")):
        raise MigrationError(
            f"--optypelist_for_implmode needs --op_select_implmode as high_precision or high_performance, "
            f"which is {mode or 'not given'}",
            'add "--op_select_implmode=high_precision" to extra',
        )


def check_quantized(quantized: bool, mode: str, mode_v2: str) -> None:
    """Check the precision of what is left unquantized."""
    given = mode or mode_v2
    if quantized and given in _NOT_QUANTIZED:
        raise MigrationError(
            f"an int8 model cannot be compiled with {given}: the vendor takes half or mixed precision",
            "leave precision = 'int8' alone: the rest is then computed in half precision",
        )


def check_quantized_gears(gears: int) -> None:
    """Check gears of a quantized model, which the vendor's compiler does not convert."""
    if gears:
        raise MigrationError(
            f"an int8 model is to be compiled with {gears} gears, and CANN converts quantized models with fixed shapes "
            "only",
            "name one batch and one length under [compile], as batches = [16] and lengths = [128]",
            "leave batches and lengths empty: then the largest is compiled alone",
            "compile with another precision",
        )


def _check_dims(name: str, dims: Sequence[int]) -> None:
    bad = [dim for dim in dims if dim != -1 and dim < 1]
    if bad:
        raise MigrationError(f"input {name} has an axis of {bad[0]}, it must be positive, or -1 where gears vary")


def _check_static_batch(shapes: Mapping[str, Sequence[int]], varying: Sequence[str]) -> None:
    if not varying:
        shown = "; ".join(f"{name} {','.join(map(str, dims))}" for name, dims in shapes.items())
        raise MigrationError(
            f"gears are given, and no input has an axis that varies, they are all fixed: {shown}",
            "export with dynamic axes for batch and length, or name no gears",
        )
    for name in varying:
        if shapes[name][0] != -1:
            raise MigrationError(
                f"gears are given, and input {name} has the static batch {shapes[name][0]}: what is fixed cannot be "
                "padded by the server",
                "export with a dynamic first axis, which is the batch",
            )


def _check_numbers(gears: Sequence[Sequence[int]], flag: str) -> None:
    if len(gears) < 2:
        raise MigrationError(
            f"{flag} has one gear, the compiler takes 2 to {MAX_GEARS}",
            "compile fixed shapes, or name one more batch or length",
        )
    if len(gears) > MAX_GEARS:
        raise MigrationError(
            f"{flag} has {len(gears)} gears, the compiler takes 2 to {MAX_GEARS}",
            f"name fewer batches or lengths under [compile]: their product must be at most {MAX_GEARS}",
        )
    for gear in gears:
        if any(value < 1 for value in gear):
            raise MigrationError(f"{flag} has a gear with {min(gear)}, which must be positive")
    if len({tuple(gear) for gear in gears}) < len(gears):
        raise MigrationError(f"{flag} has the same gear twice", "take the double batch or length out")


def _check_batch_gears(shapes: Mapping[str, Sequence[int]], batches: Sequence[int]) -> None:
    if max(batches) > MAX_BATCH:
        raise MigrationError(f"--dynamic_batch_size has {max(batches)}, above {MAX_BATCH}, the largest batch")
    for name, dims in shapes.items():
        if -1 in dims[1:]:
            raise MigrationError(
                f"--dynamic_batch_size lets the batch vary alone, and input {name} has -1 in another axis",
                "give gears of all axes: name lengths under [compile]",
            )


def _check_dim_gears(shapes: Mapping[str, Sequence[int]], gears: Sequence[Sequence[int]]) -> None:
    axes = sum(list(dims).count(-1) for dims in shapes.values())
    for gear in gears:
        if len(gear) != axes:
            raise MigrationError(
                f"the inputs have {axes} axes of -1, and a gear of --dynamic_dims has {len(gear)} values: "
                f"{','.join(map(str, gear))}"
            )
    every = sum(len(dims) for dims in shapes.values())
    if every > MAX_AXES:
        raise MigrationError(f"the inputs have {every} axes together, with gears there may be at most {MAX_AXES}")


def _check_mix_list(path: Path) -> None:
    try:
        lists = json.loads(path.read_text())
    except OSError as error:
        raise MigrationError(f"the mix list cannot be read: {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise MigrationError(f"the mix list is no JSON: {path}: {error}") from error
    good = isinstance(lists, dict) and all(
        name in ("black-list", "white-list")
        and isinstance(changes, dict)
        and all(
            change in ("to-add", "to-remove") and isinstance(types, list) and all(isinstance(t, str) for t in types)
            for change, types in changes.items()
        )
        for name, changes in lists.items()
    )
    if not good:
        raise MigrationError(
            f"the mix list is not of its form: {path}",
            'write {"black-list": {"to-add": ["SoftmaxV2"]}}: lists black-list and white-list, each with to-add and '
            "to-remove, of types of operators",
        )
