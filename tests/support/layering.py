"""Who imports whom, read from the sources: Python rooms by their import statements, native rooms by their #includes."""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

GROUND = frozenset({"core", "_proto", "config", "observability"})
EXTENSIONS = frozenset({"_wire", "_engine", "_load"})

# What each Python room may import besides itself. The empty room is the package's shop window; cli composes all rooms.
PYTHON_ROOMS: Mapping[str, frozenset[str]] = {
    "transport": GROUND | {"service", "_wire"},
    "migrate": GROUND | {"_load"},
    "service": GROUND | {"repository"},
    "repository": GROUND | {"execution"},
    "execution": GROUND | {"_engine"},
    "config": frozenset({"_proto", "core"}),
    "observability": frozenset({"_proto", "core"}),
    "_proto": frozenset(),
    "core": frozenset(),
}
ALL = frozenset(PYTHON_ROOMS) | {"cli"}

# What each native room may include besides itself.
NATIVE_ROOMS: Mapping[str, frozenset[str]] = {
    "core": frozenset(),
    "wire": frozenset({"core"}),
    "batching": frozenset({"core"}),
    "acl": frozenset({"core"}),
    "ort": frozenset({"core"}),
    "engine": frozenset({"batching", "acl", "ort", "core"}),
    "engine/bindings": frozenset({"engine", "batching", "acl", "ort", "core"}),
    "load": frozenset({"core"}),
    "load/bindings": frozenset({"load", "core"}),
    "emulator": frozenset(),
}

# The C ABI is all that the emulator knows of `acl`; the rest of the product knows `acl` by its C++ API alone.
C_ABI = frozenset({"acl/abi.h", "acl/constants.h", "acl/error_codes.def", "acl/functions.def"})
ACL_PRIVATE = C_ABI | {"acl/functions.h", "acl/call.h"}
ORT_PRIVATE = frozenset({"ort/abi.h", "ort/functions.def", "ort/functions.h", "ort/call.h"})

# Third-party headers, by the first part of their path, and the rooms that may include them.
THIRD_PARTY_ROOMS: Mapping[str, frozenset[str]] = {
    "Python.h": frozenset({"engine/bindings", "load/bindings"}),
    "pybind11": frozenset({"engine/bindings", "load/bindings"}),
    "nghttp2": frozenset({"wire", "load"}),
    "openvino": frozenset({"emulator"}),
}
SYSTEM_FOLDERS = frozenset({"sys", "linux", "netinet", "arpa"})


@dataclass(frozen=True, kw_only=True)
class Violation:
    """One import that the tables forbid."""

    file: str
    line: int
    imported: str

    def __str__(self) -> str:
        """As an editor's link."""
        return f"{self.file}:{self.line}: may not import {self.imported}"


def python_violations(package: Path) -> list[Violation]:
    """Of every module under `package` (the folder named npuserve), generated code left out."""
    found = []
    for path in sorted(package.rglob("*.py")):
        module = path.relative_to(package)
        room = module.parts[0] if len(module.parts) > 1 else ""
        if room == "_proto":
            continue
        for line, imported in _python_imports(path, package):
            if not _python_allowed(room, imported):
                found.append(Violation(file=str(module), line=line, imported=imported))
    return found


def _python_allowed(room: str, imported: str) -> bool:
    if imported == room or room == "cli":
        return True
    if room == "":
        return imported not in EXTENSIONS
    return imported in PYTHON_ROOMS.get(room, frozenset())


def _python_imports(path: Path, package: Path) -> Iterator[tuple[int, str]]:
    """Line and room of everything of this package that a module imports, by statement or by importlib."""
    folder = ("npuserve", *path.parent.relative_to(package).parts)
    for node in ast.walk(ast.parse(path.read_text(), filename=str(path))):
        for name in _imported_names(node, folder):
            parts = name.split(".")
            if parts[0] == "npuserve" and len(parts) > 1 and _is_room(package, parts[1]):
                yield getattr(node, "lineno", 0), parts[1]


def _is_room(package: Path, name: str) -> bool:
    # `from npuserve import x` names a room only if x is one, not an attribute of the shop window.
    return name in ALL | EXTENSIONS or (package / name).is_dir() or (package / f"{name}.py").is_file()


def _imported_names(node: ast.AST, folder: tuple[str, ...]) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=module, names=names, level=level):
            start = folder[: len(folder) - level + 1] if level else ()
            source = ".".join((*start, *([module] if module else [])))
            return [f"{source}.{alias.name}" for alias in names]
        case ast.Call(
            func=ast.Attribute(attr="import_module") | ast.Name(id="import_module" | "__import__"),
            args=[ast.Constant(value=str(name)), *_],
        ):
            return [name]
    return []


INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def native_violations(native: Path) -> list[Violation]:
    """Of every C++ source under `native`."""
    found = []
    for path in sorted(native.rglob("*")):
        if path.suffix not in {".h", ".cc", ".def"}:
            continue
        file = path.relative_to(native)
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            match = INCLUDE.match(line)
            if match and not _native_allowed(file, match[1], match[2]):
                found.append(Violation(file=str(file), line=number, imported=match[2]))
    return found


def _native_allowed(file: Path, bracket: str, included: str) -> bool:
    room = _native_room(file)
    if bracket == "<":
        return _third_party_allowed(room, included)
    target = _native_room(Path(included))
    if room in ("acl", "ort") and target == room:
        return True
    if room == "emulator":
        return target == "emulator" or included in C_ABI
    if included in ACL_PRIVATE | ORT_PRIVATE:
        return False
    return target == room or target in NATIVE_ROOMS.get(room, frozenset())


def _third_party_allowed(room: str, included: str) -> bool:
    first, _, rest = included.partition("/")
    if first in THIRD_PARTY_ROOMS:
        return room in THIRD_PARTY_ROOMS[first]
    # The standard library's headers have no folder.
    return not rest or first in SYSTEM_FOLDERS


def _native_room(file: Path) -> str:
    return "/".join(file.parts[:2]) if file.parts[1:2] == ("bindings",) else file.parts[0]
