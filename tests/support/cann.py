"""A CANN installation in a folder, with the files that npuserve reads, in the vendor's formats."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

# One entry as CANN writes it: flags and values are texts.
KERNEL = {
    "dynamicShapeSupport": {"flag": "true"},
    "input0": {"dtype": "float16,float", "name": "x", "paramType": "required"},
    "op": {"pattern": "formatAgnostic"},
    "output0": {"dtype": "float16,float", "name": "y", "needCompile": "false", "paramType": "required", "shape": "all"},
}
OPSETS = tuple(range(8, 19))


def write_cann(
    home: Path,
    *,
    version: str = "8.1.RC1",
    chip: str = "ascend910b",
    kernels: Sequence[str] = (),
    processor_kernels: Sequence[str] = (),
    parsers: Mapping[str, Sequence[int]] | None = None,
) -> Path:
    """parsers: opsets by the operator's full name, as `ai.onnx::Add`; None: no plug-in."""
    _write(home / "version.cfg", f"# version: 1.0\ntoolkit_running_version=[7.7.0.1.238:{version}]\n")
    for package in ("compiler", "opp"):
        _write(home / package / "version.info", f"Version=7.7.0.1.238\nversion_dir={version}\n")
    tbe = home / "opp/built-in/op_impl/ai_core/tbe/config" / chip
    _write(tbe / f"aic-{chip}-ops-info.json", json.dumps({name: KERNEL for name in kernels}))
    if processor_kernels:
        aicpu = home / "opp/built-in/op_impl/aicpu/aicpu_kernel/config/aicpu_kernel.json"
        _write(aicpu, json.dumps({name: {"opInfo": {"engine": "DNN_VM_AICPU"}} for name in processor_kernels}))
    if parsers is not None:
        write_plugin(home / "opp/built-in/framework/onnx/libops_all_onnx_plugin.so", parsers)
    return home


def write_plugin(path: Path, parsers: Mapping[str, Sequence[int]]) -> None:
    """A library as far as its texts go: names of parsers between bytes that are none."""
    content = b"\x7fELF\x02\x01"
    for name, opsets in parsers.items():
        domain, _, operator = name.partition("::")
        for opset in opsets:
            content += f"{domain}::{opset}::{operator}".encode() + b"\0\x90\xff"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def write_program(path: Path, script: str) -> Path:
    """A shell script that may be run."""
    _write(path, f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
