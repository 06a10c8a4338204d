"""The flags of `atc`: which there are, and what they take."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from npuserve.migrate.errors import MigrationError


@dataclass(frozen=True, slots=True)
class Flag:
    """values: those allowed, empty if any are. place: where settings say it, if not under `extra`."""

    values: tuple[str, ...] = ()
    place: str = ""


_ANY = Flag()
_SHAPES = Flag(place="batches and lengths under [compile]")
PRECISION_MODES = (
    *("force_fp16", "force_fp32", "cube_fp16in_fp32out", "allow_fp32_to_fp16", "allow_fp32_to_bf16"),
    *("must_keep_origin_dtype", "allow_mix_precision", "allow_mix_precision_fp16", "allow_mix_precision_bf16"),
)
PRECISION_MODES_V2 = (
    *("fp16", "origin", "cube_fp16in_fp32out", "mixed_float16", "mixed_bfloat16", "mixed_hif8", "cube_hif8"),
)
FLAGS: Mapping[str, Flag] = {
    "mode": Flag(place="the chain, which builds an OM"),
    "framework": Flag(place="the chain, which gives ONNX"),
    "model": Flag(place="the chain: the export's model.onnx"),
    "output": Flag(place="the chain: model.om"),
    "om": Flag(place="the chain, which builds an OM"),
    "soc_version": Flag(place="soc_version under [compile]"),
    "precision_mode": Flag(PRECISION_MODES, "precision under [compile]"),
    "modify_mixlist": Flag(place="mix_list under [compile]"),
    "input_shape": _SHAPES,
    "input_shape_range": _SHAPES,
    "dynamic_batch_size": _SHAPES,
    "dynamic_dims": _SHAPES,
    "dynamic_image_size": _SHAPES,
    "input_format": Flag(("ND", "NCHW", "NCDHW")),
    "precision_mode_v2": Flag(PRECISION_MODES_V2),
    "op_select_implmode": Flag(
        ("high_precision", "high_performance", "high_precision_for_all", "high_performance_for_all")
    ),
    # The repository holds the OM as one file.
    "external_weight": Flag(("0",)),
    "op_debug_level": Flag(("0", "1", "2", "3", "4")),
    "log": Flag(("debug", "info", "warning", "error", "null")),
    "deterministic": Flag(("0", "1")),
    "enable_single_stream": Flag(("true", "false")),
    "display_model_info": Flag(("0", "1")),
    "op_compiler_cache_mode": Flag(("enable", "force", "disable")),
    "core_type": Flag(("AiCore", "VectorCore")),
    "host_env_os": Flag(("linux",)),
    "host_env_cpu": Flag(("x86_64", "aarch64")),
    "ac_parallel_enable": Flag(("0", "1")),
    "disable_reuse_memory": Flag(("0", "1")),
    "enable_small_channel": Flag(("0", "1")),
    "enable_compress_weight": Flag(("true", "false")),
    "enable_scope_fusion_passes": _ANY,
    "sparsity": Flag(("0", "1")),
    "status_check": Flag(("0", "1")),
    **{
        name: _ANY
        for name in (
            *("keep_dtype", "customize_dtypes", "optypelist_for_implmode", "op_precision_mode", "fusion_switch_file"),
            *("output_type", "input_fp16_nodes", "out_nodes", "insert_op_conf", "debug_dir", "check_report"),
            *("op_compiler_cache_dir", "aicore_num", "compression_optimize_conf", "compress_weight_conf", "weight"),
            *(
                "json",
                "op_name_map",
                "mdl_bank_path",
                "op_bank_path",
                "save_original_model",
                "singleop",
                "buffer_optimize",
            ),
            *("atomic_clean_policy", "op_debug_config", "distributed_cluster_build", "virtual_type", "dump_mode"),
            *("is_input_adjust_hw_layout", "is_output_adjust_hw_layout", "tiling_schedule_optimize", "quant_dumpable"),
            *("shape_generalized_build_mode", "allow_hf32", "enable_graph_parallel", "export_compile_stat", "oo_level"),
        )
    },
}

# Those whose values are files; the compiler runs in a folder of its own, so that these must be absolute.
FILE_FLAGS = frozenset(
    {"keep_dtype", "customize_dtypes", "op_precision_mode", "fusion_switch_file", "insert_op_conf", "weight"}
    | {"compression_optimize_conf", "compress_weight_conf", "op_name_map", "op_debug_config"}
    | {"debug_dir", "op_compiler_cache_dir", "mdl_bank_path", "op_bank_path", "check_report", "json"}
)


def parse_extra(extra: Sequence[str]) -> dict[str, str]:
    """Return the values of further flags by name, without the dashes. Raises MigrationError for what cannot be right.

    A flag that is not known and like none that is stays as it is: a newer compiler may have it.
    """
    found: dict[str, str] = {}
    for given in extra:
        name, equals, value = given.removeprefix("--").partition("=")
        if not given.startswith("--") or not equals or not name:
            raise MigrationError(
                f"extra holds '{given}', which is no flag with a value", 'write flags of atc as "--name=value"'
            )
        if name in found:
            raise MigrationError(f"extra holds --{name} twice", "leave one of them")
        _check_flag(name, value)
        found[name] = str(Path(value).resolve()) if name in FILE_FLAGS else value
    return found


def _check_flag(name: str, value: str) -> None:
    flag = FLAGS.get(name)
    if flag is None:
        near = difflib.get_close_matches(name, FLAGS, n=1, cutoff=0.75)
        if near:
            raise MigrationError(f"atc has no flag --{name}", f"write --{near[0]}, if that is what is meant")
        return
    if flag.place:
        raise MigrationError(f"extra holds --{name}, which has its place elsewhere", f"it comes from {flag.place}")
    check_value(name, value)


def check_value(name: str, value: str) -> None:
    """Raise MigrationError unless the flag takes the value."""
    flag = FLAGS[name]
    if flag.values and value not in flag.values:
        raise MigrationError(
            f"--{name} is '{value}', it must be one of {', '.join(flag.values)}",
            *(f"write '{near}'" for near in difflib.get_close_matches(value, flag.values, n=1)),
        )
    if not value:
        raise MigrationError(f"--{name} has no value", f"write --{name}=VALUE or take it out")
