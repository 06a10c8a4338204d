"""Where npuserve's answers differ from Triton's on purpose: the table that docs/compatibility.md shows."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import npuserve

Answer = dict[str, Any]
NO_ID = "[request id: <id_unknown>]"

# Calls that end the real server's process, by family: they have no golden answer, but npuserve must answer them.

PEER_DIES = {"streaming": ("strict stream: a decoupled error",)}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A row of the table, and what it does to golden answers.

    topic, triton, npuserve, reason: the row. calls: patterns of `family/name` of the calls whose answers differ.
    change: makes npuserve's answer of a golden one, in place or anew. Without calls the row is of what the suite does
    not ask, and `proof` names the test that does.
    """

    topic: str
    triton: str
    npuserve: str
    reason: str
    calls: Sequence[str] = ()
    change: Callable[[Answer], Answer | None] = lambda answer: answer
    proof: str = ""

    def concerns(self, family: str, name: str) -> bool:
        """Whether a call's answer differs."""
        return any(fnmatchcase(f"{family}/{name}", pattern) for pattern in self.calls)

    @property
    def row(self) -> tuple[str, str, str, str]:
        """The row of the document's table."""
        return self.topic, self.triton, self.npuserve, self.reason


def expected(family: str, name: str, golden: Answer) -> Answer:
    """Return what npuserve must answer where Triton answered so."""
    answer = copy.deepcopy(golden)
    for difference in DIFFERENCES:
        if difference.concerns(family, name):
            changed = difference.change(answer)
            answer = answer if changed is None else changed
    return answer


def refused(code: str, details: str) -> Callable[[Answer], Answer]:
    """A change to a gRPC refusal."""
    return lambda answer: {"code": code, "details": details}


def http_refused(status: int, error: str) -> Callable[[Answer], Answer]:
    """A change to an HTTP refusal."""
    return lambda answer: {"status": status, "headers": {"content-type": "application/json"}, "body": {"error": error}}


def _named_otherwise(answer: Answer) -> None:
    metadata = answer.get("response") or answer["body"]
    metadata["name"], metadata["version"] = "npuserve", npuserve.__version__
    metadata["extensions"].remove("cuda_shared_memory")


def _as_floats(answer: Answer) -> Answer:
    half = "FP16" in answer["details"]
    tensor = {"name": "OUTPUT0", "datatype": "FP16" if half else "BF16", "shape": ["1", "3"]}
    data = [1.0, 2.0, 3.0] if half else [0x3F80, 0x4000, 0x4040]  # BF16 is compared by its bits
    response = {"model_name": f"copy_{tensor['datatype']}", "model_version": "1", "outputs": [tensor]}
    return {"code": "OK", "response": {**response, "raw_output_contents": [data]}}


def _all_dimensions(answer: Answer) -> None:
    """The texts differ only in what follows the prefix."""
    prefix = answer["details"].partition(" input byte size")[0]
    shape = "[1,-2]" if "Expected -8" in answer["details"] else "[-1,1]"
    what = "All input dimensions should be specified for input 'INPUT0' for model 'variable', got"
    answer["details"] = f"{prefix} {what} {shape}"


def _with_empty_model(answer: Answer) -> None:
    models = answer["response"]["models"]
    models.append({"name": "no_version"})
    models.sort(key=lambda entry: str(entry["name"]))


def _later_field(answer: Answer) -> None:
    answer["body"]["ensemble_scheduling"]["max_inflight_requests"] = 0


def _no_gpus(answer: Answer) -> None:
    text = "failed to register CUDA shared memory region: 'x', GPUs not supported"
    if "status" in answer:
        answer["body"]["error"] = text
    else:
        answer["details"] = text


def _load_duration(answer: Answer) -> None:
    answer["types"]["nv_model_load_duration_secs"] = "gauge"
    for model in ("counted", "hurried"):
        answer["series"][f'nv_model_load_duration_secs{{model="{model}",version="1"}}'] = "some time"


def _json_error(answer: Answer) -> None:
    """An error with a body; golden answers of gRPC have no status."""
    if answer.get("status", 200) >= 400 and "error" in answer["body"]:
        answer["headers"]["content-type"] = "application/json"


DIFFERENCES: tuple[Difference, ...] = (
    Difference(
        topic="server metadata",
        triton="name `triton`, its version; announces `cuda_shared_memory`",
        npuserve="name `npuserve` (flag `--id`), its own version; does not announce it",
        reason="clients test the list before they use an extension, and there are no CUDA devices",
        calls=("metadata/server metadata, *", "access/ServerMetadata *"),
        change=_named_otherwise,
    ),
    Difference(
        topic="content type of HTTP errors",
        triton="`text/plain` or `application/json`, by the stage that failed; the body is JSON in both",
        npuserve="`application/json`",
        reason="says what the body is; no client looks at it",
        calls=("*",),
        change=_json_error,
    ),
    Difference(
        topic="FP16 and BF16 as typed contents",
        triton="INVALID_ARGUMENT",
        npuserve="accepted as `fp32_contents`, rounded to the nearest, ties to even",
        reason="a client without half precision need not write raw bytes",
        calls=("errors/FP16 in fp32_contents", "errors/BF16 in fp32_contents"),
        change=_as_floats,
    ),
    Difference(
        topic="an output requested twice",
        triton="answered once",
        npuserve="refused: `output 'O' already exists in request`, as later releases do",
        reason="later releases do",
        calls=("infer/outputs ?'OUTPUT0', 'OUTPUT0'?",),
        change=refused("INVALID_ARGUMENT", f"{NO_ID} output 'OUTPUT0' already exists in request"),
    ),
    Difference(
        topic="a required input missing where an optional one is given",
        triton="accepted, as only the number of inputs is looked at; the model fails or reads nothing",
        npuserve="refused, with the name of what is missing",
        reason="a model must get the inputs that its config requires",
        calls=("errors/only the optional input",),
        change=refused(
            "INVALID_ARGUMENT",
            f"{NO_ID} expected number of inputs between 1 and 2 but got 1 inputs for model 'optional'. Got input(s) "
            "['INPUT1'], but missing required input(s) ['INPUT0']. Please provide all required input(s).",
        ),
    ),
    Difference(
        topic="dimensions below zero",
        triton="`All input dimensions should be specified` for -1 of an input, else a byte size that makes no sense",
        npuserve="`All input dimensions should be specified` for all of them",
        reason="says what is wrong",
        calls=("errors/a dimension of -2, *", "errors/a batch of -1, *"),
        change=_all_dimensions,
    ),
    Difference(
        topic="several inputs wrong at once",
        triton="which one is named depends on the order of a hash table",
        npuserve="the first",
        reason="the same request gets the same answer",
        calls=("errors/wrong type of the first, wrong shape of the second",),
        change=refused(
            "INVALID_ARGUMENT",
            f"{NO_ID} inference input 'INPUT0' data-type is 'FP32', but model 'simple' expects 'INT32'",
        ),
    ),
    Difference(
        topic="a body that is not what Content-Encoding says",
        triton="taken as empty, and refused for that",
        npuserve="refused: `the request body is not valid gzip data`",
        reason="says what is wrong",
        calls=("http/no gzip",),
        change=http_refused(400, "the request body is not valid gzip data"),
    ),
    Difference(
        topic="index after a load that found no version",
        triton="the model is not listed until the next index of the folder",
        npuserve="listed with its name alone, as before the load",
        reason="the folder is there",
        calls=("control/index after*", "control/index does*", "control/index without*"),
        change=_with_empty_model,
    ),
    Difference(
        topic="config of an ensemble, `max_inflight_requests`",
        triton="not there",
        npuserve="there, as in later releases; 0 is no limit",
        reason="the field is of a later release",
        calls=("config/config of ensemble, HTTP",),
        change=_later_field,
    ),
    Difference(
        topic="CUDA shared memory, register",
        triton="refused as a CUDA build without a device does",
        npuserve="refused as a CPU-only build does: `GPUs not supported`",
        reason="there are no CUDA devices",
        calls=("shared_memory/CUDA register*",),
        change=_no_gpus,
    ),
    Difference(
        topic="offset of a shared memory region",
        triton="added twice: data is read and written outside of the region",
        npuserve="added once",
        reason="requests must not reach memory of others",
        proof="tests/conformance/test_shared_memory.py",
    ),
    Difference(
        topic="model load time in the metrics",
        triton="not there",
        npuserve="`nv_model_load_duration_secs`, as later releases have it",
        reason="dashboards of later releases ask for it",
        calls=("metrics/metric families of a copying model",),
        change=_load_duration,
    ),
)
