"""How npuserve's answers are made of Triton's: each function changes one, in place or by returning another."""

from collections.abc import Callable
from typing import Any

import npuserve

Answer = dict[str, Any]
NO_ID = "[request id: <id_unknown>]"


def refused(code: str, details: str) -> Callable[[Answer], Answer]:
    """A change to a gRPC refusal."""
    return lambda answer: {"code": code, "details": details}


def http_refused(status: int, error: str) -> Callable[[Answer], Answer]:
    """A change to an HTTP refusal."""
    return lambda answer: {"status": status, "headers": {"content-type": "application/json"}, "body": {"error": error}}


def named_otherwise(answer: Answer) -> None:
    """The name, the version and the extensions of the server."""
    metadata = answer.get("response") or answer["body"]
    metadata["name"], metadata["version"] = "npuserve", npuserve.__version__
    metadata["extensions"].remove("cuda_shared_memory")


def as_floats(answer: Answer) -> Answer:
    """Half precision that came as floats."""
    half = "FP16" in answer["details"]
    tensor = {"name": "OUTPUT0", "datatype": "FP16" if half else "BF16", "shape": ["1", "3"]}
    data = [1.0, 2.0, 3.0] if half else [0x3F80, 0x4000, 0x4040]  # BF16 is compared by its bits
    response = {"model_name": f"copy_{tensor['datatype']}", "model_version": "1", "outputs": [tensor]}
    return {"code": "OK", "response": {**response, "raw_output_contents": [data]}}


def all_dimensions(answer: Answer) -> None:
    """All input dimensions must be specified: the texts differ only in what follows the prefix."""
    prefix = answer["details"].partition(" input byte size")[0]
    shape = "[1,-2]" if "Expected -8" in answer["details"] else "[-1,1]"
    what = "All input dimensions should be specified for input 'INPUT0' for model 'variable', got"
    answer["details"] = f"{prefix} {what} {shape}"


def with_empty_model(answer: Answer) -> None:
    """The model without versions is listed."""
    models = answer["response"]["models"]
    models.append({"name": "no_version"})
    models.sort(key=lambda entry: str(entry["name"]))


def later_field(answer: Answer) -> None:
    """The field of later releases."""
    answer["body"]["ensemble_scheduling"]["max_inflight_requests"] = 0


def no_gpus(answer: Answer) -> None:
    """The words of a build without GPUs."""
    text = "failed to register CUDA shared memory region: 'x', GPUs not supported"
    if "status" in answer:
        answer["body"]["error"] = text
    else:
        answer["details"] = text


def load_duration(answer: Answer) -> None:
    """The family of later releases."""
    answer["types"]["nv_model_load_duration_secs"] = "gauge"
    for model in ("counted", "hurried"):
        answer["series"][f'nv_model_load_duration_secs{{model="{model}",version="1"}}'] = "some time"


def json_error(answer: Answer) -> None:
    """The content type of an error with a body; golden answers of gRPC have no status."""
    if answer.get("status", 200) >= 400 and "error" in answer["body"]:
        answer["headers"]["content-type"] = "application/json"


def in_one_request(answer: Answer) -> None:
    """Two warm-up requests of two rows, where Triton counts four of one row."""
    statistics = (answer.get("response") or answer["body"])["model_stats"][0]["inference_stats"]
    for counted in statistics.values():
        if counted.get("count") in ("4", 4):
            counted["count"] = type(counted["count"])(2)


def counted_anew(answer: Answer) -> None:
    """A version that nobody has asked anything yet."""
    nothing: Answer = {"cache_hit": {}, "cache_miss": {}, "fail": {}, "queue": {}, "success": {}}
    nothing |= {f"compute_{part}": {} for part in ("input", "infer", "output")}
    entries = answer["response"]["model_stats"]
    entries[:] = [{"name": entry["name"], "version": entry["version"], "inference_stats": nothing} for entry in entries]


def said_once(answer: Answer) -> None:
    """An error that is repeated, with a semicolon behind each, said once."""
    first, *_ = answer["details"].split("; ")
    answer["details"] = f"{first}; ;\n"


def with_values(*values: list[Any]) -> Callable[[Answer], None]:
    """Other elements of the outputs."""

    def change(answer: Answer) -> None:
        answer["response"]["raw_output_contents"] = list(values)

    return change


def as_contents(answer: Answer) -> None:
    """Typed contents of an FP32 output, where the answer has raw ones."""
    response = answer["response"]
    response["outputs"][0]["contents"] = {"fp32_contents": response.pop("raw_output_contents")[0]}


def with_id(text: str) -> Callable[[Answer], None]:
    """The id of an answer over HTTP."""
    return lambda answer: answer["body"].update(id=text)


def with_data(text: str) -> Callable[[Answer], None]:
    """The one element of the one output of an answer over HTTP."""
    return lambda answer: answer["body"]["outputs"][0].update(data=[text])


def no_pool(answer: Answer) -> None:
    """Triton's default size of the pool becomes nothing."""
    answer["nv_pinned_memory_pool_total_bytes"] = "0"
