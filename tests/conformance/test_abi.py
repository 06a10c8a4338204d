"""Our declarations of the AscendCL ABI against the vendor's own headers."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support.vendor_headers import FetchError, vendor_include_folder

ROOT = Path(__file__).resolve().parents[2]
DECLARATIONS = ROOT / "native" / "acl"
COMPARISON = ROOT / "tests" / "native" / "abi" / "vendor_headers.cc"


@pytest.fixture(scope="module")
def vendor_include() -> Path:
    try:
        return vendor_include_folder()
    except FetchError as error:
        pytest.skip(f"the vendor's headers are neither cached nor to be had from the package index: {error}")


def compare(declarations: Path, vendor_include: Path) -> subprocess.CompletedProcess[str]:
    """Compile the comparison with the declarations in `declarations`/acl."""
    compiler = os.environ.get("CXX", "g++")
    flags = ["-std=c++20", "-fsyntax-only", "-Wno-deprecated-declarations", "-fmax-errors=0"]
    command = [compiler, *flags, f"-I{declarations}", f"-isystem{vendor_include}", str(COMPARISON)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_our_declarations_equal_the_vendors(vendor_include: Path) -> None:
    result = compare(DECLARATIONS.parent, vendor_include)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("file", "ours", "planted", "complaint"),
    [
        ("functions.def", "aclrtMalloc, (void** dev_ptr", "aclrtMalloc, (void* dev_ptr", "differs: aclrtMalloc"),
        ("functions.def", "(size_t, aclmdlGetNumInputs", "(uint32_t, aclmdlGetNumInputs", "aclmdlGetNumInputs"),
        ("functions.def", "aclError, aclrtFree,", "aclError, aclrtNoSuchFunction,", "aclrtNoSuchFunction"),
        ("constants.h", "X(ACL_INT64, 9)", "X(ACL_INT64, 10)", "constant differs: ACL_INT64"),
        ("constants.h", "X(ACL_MAX_DIM_CNT, 128)", "X(ACL_MAX_DIM_CNT, 64)", "constant differs: ACL_MAX_DIM_CNT"),
        ("constants.h", '"ascend_mbatch_shape_data"', '"shape_data"', "constant differs: ACL_DYNAMIC_TENSOR_NAME"),
        ("error_codes.def", "ALLOCATION, 207001", "ALLOCATION, 207999", "differs: ACL_ERROR_RT_MEMORY_ALLOCATION"),
        ("abi.h", "  size_t dimCount;\n", "  uint32_t dimCount;\n", "struct member: aclmdlIODims::dimCount"),
        ("abi.h", "  uint32_t rsv[4];\n", "  uint32_t rsv[3];\n", "struct size: aclrtPtrAttributes"),
        ("abi.h", "typedef uint16_t aclFloat16", "typedef uint32_t aclFloat16", "type differs: aclFloat16"),
    ],
)
def test_a_planted_difference_is_found(
    vendor_include: Path, tmp_path: Path, file: str, ours: str, planted: str, complaint: str
) -> None:
    copied = shutil.copytree(DECLARATIONS, tmp_path / "acl", ignore=shutil.ignore_patterns("*.cc")) / file
    text = copied.read_text()
    assert text.count(ours) == 1
    copied.write_text(text.replace(ours, planted))

    result = compare(tmp_path, vendor_include)

    assert result.returncode != 0
    assert re.search(rf"error: .*{re.escape(complaint)}", result.stderr), result.stderr


def test_every_enum_and_struct_that_we_declare_is_compared() -> None:
    declared = set(re.findall(r"typedef struct (\w+) \{", (DECLARATIONS / "abi.h").read_text()))
    compared = set(re.findall(r"SAME_SIZE\((\w+)\)\n", COMPARISON.read_text()))
    assert declared == compared

    lists = set(re.findall(r"#define (ACL_\w+_VALUES)\(X\)", (DECLARATIONS / "constants.h").read_text()))
    enums = set(re.findall(r"  X\(acl\w+, (ACL_\w+_VALUES)\)", (DECLARATIONS / "constants.h").read_text()))
    assert lists - enums == {"ACL_FLAG_VALUES", "ACL_STRING_VALUES"}
