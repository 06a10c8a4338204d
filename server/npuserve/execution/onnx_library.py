"""Where the native engine finds ONNX Runtime: the shared library that the package's wheel carries for C programs."""

from importlib.util import find_spec
from pathlib import Path


def library_file() -> Path | None:
    """Return the library of the installed package; None without the package, or if its wheel carries none."""
    spec = find_spec("onnxruntime")
    if spec is None:
        return None
    folders = [Path(folder) / "capi" for folder in spec.submodule_search_locations or ()]
    files = sorted(file for folder in folders for file in folder.glob("libonnxruntime.so.*"))
    return files[0] if files else None
