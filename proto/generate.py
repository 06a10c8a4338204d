"""Generates the protobuf modules of `npuserve._proto`: `generate.py OUT_DIR`.

protoc's Python modules register themselves in the process-wide default descriptor pool, where a name can exist only
once. Triton's own client package declares `inference.*` there too, so the two could not be imported into one process.
The generated text is therefore changed in three places: the pool is `npuserve._proto.POOL`, modules import each other
relative to the package, and classes name the module they live in.
"""

import re
import sys
from pathlib import Path

from grpc_tools import protoc

SOURCE_DIR = Path(__file__).resolve().parent
PACKAGE = "npuserve._proto"


def substitute(pattern: str, replacement: str, text: str, path: Path, expected: int | None = None) -> str:
    """Replace `pattern`; a count other than `expected` means that protoc's output has changed, and fails."""
    text, count = re.subn(pattern, replacement, text, flags=re.MULTILINE)
    if expected is not None and count != expected:
        sys.exit(f"{path}: expected {expected} match(es) of {pattern!r} in protoc's output, found {count}")
    return text


def adapt_module(path: Path) -> None:
    """Put a generated module into the package's own descriptor pool."""
    module = path.stem
    text = path.read_text()
    text = substitute(r"_descriptor_pool\.Default\(\)", "_pool", text, path, 1)
    text = substitute(
        r"^from google\.protobuf import descriptor_pool as _descriptor_pool$",
        f"from {PACKAGE} import POOL as _pool",
        text,
        path,
        1,
    )
    text = substitute(rf"(, )'{module}'(, _globals\))", rf"\1'{PACKAGE}.{module}'\2", text, path, 1)
    path.write_text(make_imports_relative(text, path))


def make_imports_relative(text: str, path: Path) -> str:
    """Import sibling modules from the package instead of from the top level."""
    return substitute(r"^import (\w+_pb2) as ", r"from . import \1 as ", text, path)


def main() -> None:
    """Compile every `.proto` beside this file into OUT_DIR."""
    if len(sys.argv) != 2:
        sys.exit(f"usage: {Path(sys.argv[0]).name} OUT_DIR")
    out_dir = Path(sys.argv[1]).resolve()
    out_dir.mkdir(parents=True, exist_ok=True)
    sources = sorted(path.name for path in SOURCE_DIR.glob("*.proto"))
    arguments = ["protoc", f"--proto_path={SOURCE_DIR}", f"--python_out={out_dir}", f"--pyi_out={out_dir}", *sources]
    if status := protoc.main(arguments):
        sys.exit(status)
    for source in sources:
        module = out_dir / f"{Path(source).stem}_pb2.py"
        adapt_module(module)
        stub = module.with_suffix(".pyi")
        stub.write_text(make_imports_relative(stub.read_text(), stub))


if __name__ == "__main__":
    main()
