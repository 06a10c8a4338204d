"""The two import tables of the architecture, and the proof that the checker can fail."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.layering import native_violations, python_violations

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "server" / "npuserve"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_python_rooms_import_only_what_their_table_allows() -> None:
    assert [str(violation) for violation in python_violations(PACKAGE)] == []


def test_native_rooms_include_only_what_their_table_allows() -> None:
    assert [str(violation) for violation in native_violations(ROOT / "native")] == []


@pytest.mark.parametrize(
    ("module", "source", "imported"),
    [
        ("core/tensor.py", "from npuserve.config import options", "config"),
        ("core/tensor.py", "from ..config import options", "config"),
        ("core/tensor.py", "from .. import config", "config"),
        ("service/inference.py", "import npuserve.transport.grpc_aio", "transport"),
        ("service/inference.py", "from npuserve import _engine", "_engine"),
        ("service/inference.py", "from npuserve._engine import Runtime", "_engine"),
        ("service/inference.py", "from npuserve import _load", "_load"),
        ("migrate/load/measure.py", "from npuserve import _engine", "_engine"),
        ("service/inference.py", "def later():\n    from npuserve._wire import Engine", "_wire"),
        ("execution/ascend.py", "import importlib\nimportlib.import_module('npuserve._wire')", "_wire"),
        ("transport/wire.py", "from npuserve.repository import registry", "repository"),
        ("observability/metrics.py", "from npuserve.config import options", "config"),
        ("novelty/thing.py", "from npuserve.core import status", "core"),
        ("__init__.py", "from npuserve._engine import Runtime", "_engine"),
    ],
)
def test_a_forbidden_python_import_is_found(tmp_path: Path, module: str, source: str, imported: str) -> None:
    write(tmp_path / "npuserve" / module, source)
    found = python_violations(tmp_path / "npuserve")
    assert [(violation.file, violation.imported) for violation in found] == [(module, imported)]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("execution/ascend.py", "from npuserve._engine import Runtime\nfrom npuserve.core.status import Status"),
        ("service/inference.py", "from npuserve.repository.registry import Registry\nfrom .metadata import x"),
        ("cli/serve.py", "from npuserve.transport import grpc_aio\nfrom npuserve import _engine, __version__"),
        ("transport/grpc_aio.py", "import grpc\nfrom npuserve import __version__\nfrom npuserve.service import health"),
    ],
)
def test_an_allowed_python_import_is_no_violation(tmp_path: Path, module: str, source: str) -> None:
    write(tmp_path / "npuserve" / module, source)
    assert python_violations(tmp_path / "npuserve") == []


@pytest.mark.parametrize(
    ("file", "include"),
    [
        ("core/status.h", '"acl/errors.h"'),
        ("core/status.h", "<openvino/openvino.hpp>"),
        ("core/status.h", "<boost/asio.hpp>"),
        ("batching/policy.cc", '"engine/engine.h"'),
        ("acl/model.cc", '"batching/gears.h"'),
        ("engine/slot.cc", '"acl/abi.h"'),
        ("engine/slot.cc", '"acl/call.h"'),
        ("engine/slot.cc", '"ort/functions.h"'),
        ("ort/session.cc", '"acl/errors.h"'),
        ("acl/model.cc", '"ort/session.h"'),
        ("engine/slot.cc", '"engine/bindings/module.h"'),
        ("engine/slot.cc", "<pybind11/pybind11.h>"),
        ("engine/slot.cc", "<Python.h>"),
        ("engine/slot.cc", '"wire/h2_session.h"'),
        ("load/client.cc", '"wire/h2_session.h"'),
        ("load/client.cc", "<pybind11/pybind11.h>"),
        ("emulator/memory.cc", '"acl/errors.h"'),
        ("emulator/memory.cc", '"core/mutex.h"'),
        ("emulator/model/om_file.cc", '"core/dtype.h"'),
    ],
)
def test_a_forbidden_include_is_found(tmp_path: Path, file: str, include: str) -> None:
    write(tmp_path / file, f"#pragma once\n#include {include}\n")
    assert [(violation.file, violation.line) for violation in native_violations(tmp_path)] == [(file, 2)]


@pytest.mark.parametrize(
    ("file", "include"),
    [
        ("core/status.h", "<string>"),
        ("acl/library.cc", '"acl/abi.h"'),
        ("acl/model.cc", '"core/dtype.h"'),
        ("engine/slot.cc", '"acl/memory.h"'),
        ("engine/slot.cc", '"ort/session.h"'),
        ("ort/session.cc", '"ort/call.h"'),
        ("engine/completion.cc", "<sys/eventfd.h>"),
        ("engine/bindings/module.cc", "<pybind11/pybind11.h>"),
        ("engine/bindings/module.cc", '"engine/engine.h"'),
        ("load/h2_client.h", "<nghttp2/nghttp2.h>"),
        ("load/bindings/module.cc", "<pybind11/pybind11.h>"),
        ("emulator/model/backend.cc", "<openvino/openvino.hpp>"),
        ("emulator/exports.h", '"acl/functions.def"'),
    ],
)
def test_an_allowed_include_is_no_violation(tmp_path: Path, file: str, include: str) -> None:
    write(tmp_path / file, f"#include {include}\n")
    assert native_violations(tmp_path) == []


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    """Check pyproject's import contract on the package in `root`/server."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    environment = {**os.environ, "PYTHONPATH": str(root / "server")}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


def test_the_import_contract_is_kept() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("core/planted.py", "import npuserve.service", "npuserve.core is not allowed to import npuserve.service"),
        ("undeclared/__init__.py", "", "undeclared"),
    ],
)
def test_the_import_contract_can_be_broken(tmp_path: Path, module: str, source: str, complaint: str) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(PACKAGE, tmp_path / "server" / "npuserve", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    write(tmp_path / "server" / "npuserve" / module, source)

    result = lint_imports(tmp_path)

    assert result.returncode != 0
    assert complaint in result.stdout, result.stdout
