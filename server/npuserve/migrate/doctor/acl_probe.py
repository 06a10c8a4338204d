"""A program without imports of ours: loads an AscendCL library, starts and ends it, prints as JSON what happened."""

import ctypes
import json
import sys
from collections.abc import Sequence
from typing import Any

_FUNCTIONS = ("aclInit", "aclFinalize", "aclrtGetDeviceCount", "aclrtGetSocName", "aclmdlLoadFromFile")
_ALREADY_STARTED = 100002


def _answer(text: str, *, loaded: bool = False, started: bool = False) -> None:
    answer = {"loaded": loaded, "started": started, "text": text}
    print(f"\nnpuserve doctor: {json.dumps(answer)}", flush=True)


def _function(libraries: Sequence[ctypes.CDLL], name: str) -> Any:
    for library in libraries:
        if hasattr(library, name):
            return getattr(library, name)
    raise AttributeError(name)


def _started(call: dict[str, Any]) -> tuple[bool, str]:
    code = call["aclInit"](None)
    if code not in (0, _ALREADY_STARTED):
        return False, f"loads, but aclInit failed: {code}"
    count = ctypes.c_uint32()
    code = call["aclrtGetDeviceCount"](ctypes.byref(count))
    if code or not count.value:
        return False, f"loads, but counts no device: {code or 'there is none'}"
    call["aclrtGetSocName"].restype = ctypes.c_char_p
    chip = call["aclrtGetSocName"]() or b"unknown"
    return True, f"{count.value} device{'s' * (count.value > 1)}, {chip.decode(errors='replace')}"


def main(files: Sequence[str]) -> None:
    """Try the files."""
    try:
        libraries = [ctypes.CDLL(file, mode=ctypes.RTLD_GLOBAL) for file in files]
        call = {name: _function(libraries, name) for name in _FUNCTIONS}
    except OSError as error:
        return _answer(f"does not load: {error}")
    except AttributeError as error:
        return _answer(f"has no function {error}")
    started, text = _started(call)
    _answer(text, loaded=True, started=started)
    if started:
        call["aclFinalize"]()
    return None


if __name__ == "__main__":
    main(sys.argv[1:])
