"""The vendor's AscendCL headers, fetched for the tests that compare with them; never part of the product."""

import subprocess
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

PACKAGE = "torch-npu"
VERSION = "2.14.0"
CACHE = Path(__file__).resolve().parents[2] / "build" / "vendor" / f"{PACKAGE}-{VERSION}"
INCLUDE = "torch_npu/include/"

# The headers are the same in every wheel of a version: one is named, so that any interpreter and host can fetch it.
WHEEL = ["--only-binary=:all:", "--platform=manylinux_2_28_x86_64", "--python-version=311", "--abi=cp311"]


class FetchError(Exception):
    """The package index could not be reached, or has no such wheel."""


def vendor_include_folder() -> Path:
    """The folder for the include path, with `acl/acl.h` in it. Downloads a 43 MB wheel once. Raises FetchError."""
    include = CACHE / INCLUDE
    if (include / "acl" / "acl.h").is_file():
        return include
    CACHE.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=CACHE) as folder:
        wheel = _download(Path(folder))
        staged = Path(folder) / "headers"
        _extract(wheel, staged)
        # In one step, so that an interrupted run leaves no half cache.
        (staged / INCLUDE).parent.rename(include.parent)
    return include


def _download(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", f"--dest={folder}", *WHEEL]
    result = subprocess.run([*command, f"{PACKAGE}=={VERSION}"], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise FetchError(result.stderr.strip())
    return next(folder.glob("*.whl"))


def _extract(wheel: Path, target: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        headers = [name for name in archive.namelist() if name.startswith(f"{INCLUDE}acl/") and name.endswith(".h")]
        archive.extractall(target, headers)
