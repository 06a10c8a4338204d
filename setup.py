"""Builds the native parts by calling native/CMakeLists.txt, which holds the one list of sources."""

import os
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent


class CMakeBuild(build_ext):
    """Runs the CMake tree once; it writes every native and generated file into the package folder."""

    def run(self) -> None:
        """Configure, build, and leave the results where setuptools wants the package (the source tree if editable)."""
        package = ROOT / "server" / "npuserve" if self.inplace else Path(self.build_lib).resolve() / "npuserve"
        build = ROOT / "build" / ("editable" if self.inplace else "wheel")
        configure = [
            "cmake",
            "-S",
            str(ROOT / "native"),
            "-B",
            str(build),
            "-G",
            "Ninja",
            f"-DCMAKE_BUILD_TYPE={'Debug' if self.debug else 'Release'}",
            f"-DNPUSERVE_PACKAGE_DIR={package}",
            f"-DPython_EXECUTABLE={sys.executable}",
        ]
        jobs = os.environ.get("NPUSERVE_BUILD_JOBS", str(os.cpu_count() or 1))
        subprocess.run(configure, check=True)
        subprocess.run(["cmake", "--build", str(build), "--parallel", jobs], check=True)

    def copy_extensions_to_source(self) -> None:
        """Nothing to copy: an editable build already wrote into the source tree."""


setup(
    ext_modules=[Extension(f"npuserve.{name}", sources=[]) for name in ("_engine", "_load", "_wire")],
    cmdclass={"build_ext": CMakeBuild},
)
