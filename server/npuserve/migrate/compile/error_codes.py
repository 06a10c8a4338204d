"""Error codes of `atc` in plain words, with what helps."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# At the beginning of a line, as the vendor prints them, or after `Title(`.
_CODE = re.compile(r"(?:^|\()(E[A-Z]?\d{4,5})\)?:\s*(.*)$")
_PROCESS = re.compile(r"^\[PID: \d+\]\s*\S+\s+")


@dataclass(frozen=True, slots=True)
class Explained:
    """code: the vendor's. text: what the compiler said. meaning: in plain words. remedy: what to try first."""

    code: str
    text: str
    meaning: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.code}: {self.meaning}. {self.text}" if self.text else f"{self.code}: {self.meaning}"


_GEARS = "leave batches and lengths under [compile] empty, so that gears are planned"
_SHAPE = "name the inputs as the ONNX does, with as many axes; the chain does so if extra says nothing of shapes"
_UNSUPPORTED = "look at operators.json for what to do about it, or serve this model by ONNX Runtime"
_LOG = 'read atc.log; more is told with extra = ["--log=info"] and ASCEND_SLOG_PRINT_TO_STDOUT=1'
_FLAG = "correct the flag that the text names; `atc --help` lists what it takes"

_EXACT: Mapping[str, tuple[str, str]] = {
    "E10001": ("a flag has a value that it does not take", _FLAG),
    "E10002": ("--input_shape is not of the form name:1,128;name:1,128", _SHAPE),
    "E10003": ("a flag has a value that cannot be read", _FLAG),
    "E10004": ("a flag has no value", _FLAG),
    "E10005": ("a flag takes true or false", _FLAG),
    "E10006": ("a flag takes 0 or 1", _FLAG),
    "E10007": ("a flag that is needed is missing", _FLAG),
    "E10008": ("a flag that is needed is empty", _FLAG),
    "E10009": ("two ways to vary shapes exclude each other", _GEARS),
    "E10011": ("--input_shape has a size that is not positive, and there are no gears for it", _GEARS),
    "E10012": ("an input without axes cannot have batch gears", _GEARS),
    "E10016": ("a flag names an input or operator that the ONNX does not have", _SHAPE),
    "E10018": ("with batch gears only the first axis may vary", _GEARS),
    "E10031": ("there are batch gears and no input whose batch varies", _GEARS),
    "E10035": ("there are fewer than 2 gears", _GEARS),
    "E10036": (
        "there are more gears than the compiler takes",
        "lower max_gears under [compile], or name fewer lengths",
    ),
    "E10037": ("gears have different numbers of values", _GEARS),
    "E10038": ("a gear has a value that is not positive", _GEARS),
    "E10039": ("the same gear is there twice", _GEARS),
    "E10040": ("there are gears and no axis that varies", _GEARS),
    "E10041": (
        "the ONNX cannot be loaded",
        "check that model.onnx is whole, with its weights beside it if they are apart",
    ),
    "E10044": (
        "the machine has too little free memory to compile",
        "stop other programs, or compile on another machine",
    ),
    "E10045": ("the number of varying axes is not that of the gears' values", _GEARS),
    "E10046": ("the number of varying axes is not that of the gears' values", _GEARS),
    "E10047": ("two flags exclude each other", "take one of them out of extra"),
    "E10049": ("--input_shape has another number of axes than the ONNX", _SHAPE),
    "E10054": ("a flag that is needed is empty", _FLAG),
    "E10055": ("what is asked for is not supported", "take the flag that the text names out of extra"),
    "E10056": ("two flags cannot be set together", "take one of them out of extra"),
    "E10057": ("two flags are for each other only", "give both or none"),
    "E10058": ("a flag that is needed is missing", _FLAG),
    "E10410": ("a file that a flag names is not there", "correct the path"),
    "E10501": ("CANN does not know an operator's definition", "check ASCEND_OPP_PATH; else " + _UNSUPPORTED),
    "E13000": ("a file cannot be used", "check paths and permissions of the files that the text names"),
    "E13001": ("a file cannot be opened or written", "check permissions and the room on the disk"),
    "E13025": ("a tensor's size is not right", _SHAPE),
    "E13026": ("a path cannot be used", "check paths and permissions of the files that the text names"),
    "E16001": ("the ONNX is damaged or incomplete", "export again, and check it: python -m onnx.checker model.onnx"),
    "E16002": ("CANN has no parser for an operator", _UNSUPPORTED),
    "E16004": ("the ONNX has no graph", "export again"),
    "E16005": ("the ONNX imports a domain of operators more than once", "export again; merge its opset_import"),
    "E19001": ("a file cannot be opened", "check paths and permissions of the files that the text names"),
    "E19004": ("a file cannot be written", "check permissions and the room on the disk"),
    "E19005": ("a file cannot be understood", "check that it is an ONNX, and whole"),
    "E19010": ("the compiler has no parser for an operator", _UNSUPPORTED),
    "E19014": ("an operator has an attribute or input that the compiler does not take", _UNSUPPORTED),
    "E19022": ("the model needs more memory than the device has", "name smaller batches under [compile]"),
    "E19023": ("the OM would be larger than a file may be", "compile in half precision, or with fewer gears"),
    "E19024": ("an environment variable is wrong", "source CANN's set_env.sh in a fresh shell"),
    "E19999": ("the compiler failed inside", _LOG),
    "E20001": ("a kernel could not be compiled", _LOG),
    "E40002": ("CANN does not work with this Python", "put a Python first in PATH that CANN's notes name"),
    "E40020": (
        "a Python package that compiles kernels is missing",
        "install what CANN needs: pip install numpy decorator sympy scipy attrs psutil cloudpickle",
    ),
    "E40021": ("a kernel could not be compiled", _LOG),
    "EZ0501": ("CANN does not know an operator's definition", _UNSUPPORTED),
    "EZ3002": ("the chip has no kernel for an operator with these types", _UNSUPPORTED),
    "EZ3003": ("no part of the chip takes an operator with these types or shapes", _UNSUPPORTED),
    "EZ9010": ("CANN has no parser for an operator", _UNSUPPORTED),
    "EZ9999": ("the graph engine failed inside", _LOG),
}
_RANGES: Sequence[tuple[str, str, str]] = (
    ("E10", "the command line is not right", _FLAG),
    ("E11", "the model is not right", "check that it is ONNX"),
    ("E13", "a file or path is not right", "check paths, permissions and the room on the disk"),
    ("E14", "an operator's attribute is not right", _UNSUPPORTED),
    ("E16", "the ONNX is not right", "export again, and check it: python -m onnx.checker model.onnx"),
    ("E19", "the model could not be read or built", _LOG),
    ("E2", "the graph could not be optimized or a kernel compiled", _LOG),
    ("E3", "the device's CPU operators failed", _LOG),
    ("E4", "compiling a kernel failed, in CANN's Python", _LOG),
    ("E5", "compiling the graph's tasks failed", _LOG),
    ("EB", "an operator failed", _LOG),
    ("EE", "the runtime failed", "check the driver with `npu-smi info`; " + _LOG),
    ("EF", "a kernel failed", _LOG),
    ("EH", "a call of AscendCL was not right", _LOG),
    ("EL", "the driver failed", "check the driver with `npu-smi info`"),
    ("EZ", "the graph engine could not build the model", _LOG),
)


def explain(log: str, own_texts: Mapping[str, str] | None = None) -> list[Explained]:
    """Return the errors in a compiler's output, each code once, in its order.

    own_texts: the installation's own words, for codes that are not known here.
    """
    found: dict[str, Explained] = {}
    for line in log.splitlines():
        if (match := _CODE.search(line)) and match[1] not in found:
            meaning, remedy = _meaning(match[1], own_texts or {})
            found[match[1]] = Explained(match[1], _PROCESS.sub("", match[2]).strip(), meaning, remedy)
    return list(found.values())


def _meaning(code: str, own_texts: Mapping[str, str]) -> tuple[str, str]:
    if code in _EXACT:
        return _EXACT[code]
    if own := own_texts.get(code):
        return own.rstrip("."), _LOG
    for prefix, meaning, remedy in _RANGES:
        if code.startswith(prefix):
            return meaning, remedy
    return "the compiler failed", _LOG
