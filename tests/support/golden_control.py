"""Model control: index, load and unload in each mode, failed loads, the response cache."""

import base64
import json
from collections.abc import Callable
from functools import partial
from typing import Any

from google.protobuf.message import Message
from support.golden_calls import Answer, Asked, Http, Local, NamedCalls, Unary, floats, infer, integers
from support.golden_models import COPYING
from tritonclient.grpc import service_pb2 as pb

OVERRIDE = {
    "max_batch_size": 2,
    "input": [{"name": "INPUT0", "data_type": "TYPE_FP32", "dims": [2]}],
    "output": [{"name": "OUTPUT0", "data_type": "TYPE_FP32", "dims": [2]}],
}


def _unary(method: str, request: Message, until: Callable[[Answer], bool] | None = None) -> Unary:
    return Unary(method=method, request=request, until=until)


def _index(until: Callable[[Answer], bool] | None = None, **options: Any) -> Unary:
    return _unary("RepositoryIndex", pb.RepositoryIndexRequest(**options), until)


def _load(name: str, **parameters: Any) -> Unary:
    request = pb.RepositoryModelLoadRequest(model_name=name)
    for key, value in parameters.items():
        kind = {str: "string_param", bytes: "bytes_param", bool: "bool_param", int: "int64_param"}[type(value)]
        setattr(request.parameters[key], kind, value)
    return _unary("RepositoryModelLoad", request)


def _unload(name: str, **parameters: Any) -> Unary:
    request = pb.RepositoryModelUnloadRequest(model_name=name)
    for key, value in parameters.items():
        kind = {str: "string_param", bool: "bool_param"}[type(value)]
        setattr(request.parameters[key], kind, value)
    return _unary("RepositoryModelUnload", request)


def _http_control(name: str, verb: str, body: Any = b"") -> Http:
    return Http(method="POST", path=f"/v2/repository/models/{name}/{verb}", body=body)


def _unloaded(*names: str) -> Callable[[Answer], bool]:
    """Whether every version of the models is unloaded in an index."""

    def holds(answer: Answer) -> bool:
        entries = [entry for entry in answer["response"].get("models", []) if entry["name"] in names]
        return {entry["name"] for entry in entries} == set(names) and all(
            (entry.get("state"), entry.get("reason")) == ("UNAVAILABLE", "unloaded") for entry in entries
        )

    return holds


def _two(model: str = "first", rows: int = 1, **options: Any) -> Unary:
    name = "IN" if model == "chain" else "INPUT0"
    return infer(model, floats(name, (rows, 2), *range(2 * rows)), **options)


def _index_over_http(body: Any = b"") -> Http:
    return Http(method="POST", path="/v2/repository/index", body=body)


def explicit(server: str) -> NamedCalls:
    """In mode explicit; `first` is loaded at the start."""
    yield "index at the start", _index()
    yield "index at the start, HTTP", _index_over_http()
    yield "index of what is ready", _index(ready=True)
    yield "index of what is ready, HTTP", _index_over_http({"ready": True})
    yield "index of a repository", _index(repository_name="other")
    yield "index with an unreadable body", _index_over_http(b"{")
    yield "ready at the start", _unary("ServerReady", pb.ServerReadyRequest())
    yield "infer with what is not loaded", _two("second")
    yield "infer with a version of what is not loaded", _two("second", version="1")
    yield (
        "infer with what is not loaded, HTTP",
        Http(method="POST", path="/v2/models/second/infer", body={"inputs": []}),
    )
    yield "load", _load("second")
    yield "load again", _load("second")
    yield "infer with what was loaded", _two("second")
    yield "load over HTTP", _http_control("second", "load")
    yield (
        "load of a repository",
        _unary("RepositoryModelLoad", pb.RepositoryModelLoadRequest(model_name="second", repository_name="other")),
    )
    yield (
        "unload of a repository",
        _unary("RepositoryModelUnload", pb.RepositoryModelUnloadRequest(model_name="second", repository_name="other")),
    )
    yield "load of a repository over HTTP", Http(method="POST", path="/v2/repository/other/models/second/load")
    yield from _failing()
    yield from _overrides(server)
    yield from _unloading()
    yield from _ensemble()
    yield from _changed_configs()
    yield "load of circular", _load("circular")
    yield "unload of circular", _unload("circular")
    yield "load of overheated", _load("overheated")


def _failing() -> NamedCalls:
    for name in ("nope", "broken", "no_version", "unreadable", "strange"):
        yield f"load of {name}", _load(name)
        yield f"load of {name}, HTTP", _http_control(name, "load")
    yield "load with an unknown parameter", _load("second", foo="x")
    yield "load with a config that is no text", _load("second", config=5)
    yield "load with a config that is no JSON", _load("second", config="{")
    yield "load with a config of unknown fields", _load("second", config='{"no_such_field": 1}')
    yield "load with a file that is no bytes", _load("second", **{"file:1/model.py": "x"})
    yield "load with a file and no config", _load("second", **{"file:1/model.py": b"x"})
    for path in ("../model.py", "1/../../model.py", "/model.py", "1/", ""):
        config = json.dumps({**OVERRIDE, "backend": "python"})
        yield f"load with a file at '{path}'", _load("brought", config=config, **{f"file:{path}": b"x"})
    yield "load with an unknown parameter, HTTP", _http_control("second", "load", {"parameters": {"foo": "x"}})
    yield "load with an unreadable body, HTTP", _http_control("second", "load", b"{")
    yield "ready after failed loads", _unary("ServerReady", pb.ServerReadyRequest())
    yield "ready after failed loads, HTTP", Http(path="/v2/health/ready")
    yield "index after failed loads", _index()
    yield "infer with what failed", _two("broken")
    yield "metadata of what failed", _unary("ModelMetadata", pb.ModelMetadataRequest(name="broken"))
    yield "statistics of what failed", _unary("ModelStatistics", pb.ModelStatisticsRequest(name="broken"))
    yield "config of what failed", _unary("ModelConfig", pb.ModelConfigRequest(name="broken"))
    yield "model ready of what failed", _unary("ModelReady", pb.ModelReadyRequest(name="broken"))


def _overrides(server: str) -> NamedCalls:
    override = json.dumps({**OVERRIDE, "backend": COPYING[server]})
    yield "load with a config", _load("first", config=override)
    yield "config then", _unary("ModelConfig", pb.ModelConfigRequest(name="first"))
    yield "batch above the new limit", _two("first", 3)
    yield "plain load does not revert it", _load("first")
    yield "config after a plain load", _unary("ModelConfig", pb.ModelConfigRequest(name="first"))
    yield "load with a config that fails", _load("first", config=json.dumps({**OVERRIDE, "backend": "nonesuch"}))
    yield "the old one serves on", _two("first")
    yield "load with a config over HTTP", _http_control("first", "load", {"parameters": {"config": override}})
    source = b"""import triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def execute(self, requests):
        doubled = [pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy() * 2 for request in requests]
        return [pb_utils.InferenceResponse(output_tensors=[pb_utils.Tensor("OUTPUT0", array)]) for array in doubled]
"""
    python = json.dumps({**OVERRIDE, "backend": "python"})
    yield "load of files", _load("brought", config=python, **{"file:1/model.py": source})
    yield "infer with what was brought", _two("brought")
    yield "index does not list it", _index()
    encoded = base64.b64encode(source).decode()
    yield (
        "load of files over HTTP",
        _http_control("brought2", "load", {"parameters": {"config": python, "file:1/model.py": encoded}}),
    )
    yield "infer with what was brought over HTTP", _two("brought2")
    yield "unload of what was brought", _unload("brought")
    yield "unload of what was brought over HTTP", _unload("brought2")


def _unloading() -> NamedCalls:
    yield "unload", _unload("second")
    yield "index after unload", _index(until=_unloaded("second"))
    yield "infer with what was unloaded", _two("second")
    yield "infer with a version of what was unloaded", _two("second", version="2")
    yield "metadata of what was unloaded", _unary("ModelMetadata", pb.ModelMetadataRequest(name="second"))
    yield "statistics of what was unloaded", _unary("ModelStatistics", pb.ModelStatisticsRequest(name="second"))
    yield "unload again", _unload("second")
    yield "unload of unknown", _unload("nope")
    yield "unload of unknown, HTTP", _http_control("nope", "unload")
    yield "unload with an unknown parameter", _unload("second", foo="x")
    yield "unload with dependents as text", _unload("second", unload_dependents="x")
    yield "load after unload", _load("second")
    yield "infer after that", _two("second")
    yield "unload over HTTP", _http_control("second", "unload")
    yield "index after unload over HTTP", _index(until=_unloaded("second"))


def _ensemble() -> NamedCalls:
    yield "load of an ensemble", _load("chain")
    yield "infer with the ensemble", _two("chain")
    yield "index with the ensemble", _index(ready=True)
    yield "unload of its step", _unload("step")
    yield "index without the step", _index(until=_unloaded("chain", "step"))
    yield "infer with the ensemble then", _two("chain")
    yield "load of the ensemble again", _load("chain")
    yield "infer with the ensemble again", _two("chain")
    yield "unload with dependents", _unload("chain", unload_dependents=True)
    yield "index without both", _index(until=_unloaded("chain", "step"))


def _changed_configs() -> NamedCalls:
    """What is counted goes on, or begins anew: for a change of the instances, of the versions, of the batch."""
    statistics = _unary("ModelStatistics", pb.ModelStatisticsRequest(name="second"))
    yield "load before changes", _load("second")
    for name, text in {
        "instances": "instance_group [ { count: 2 kind: KIND_CPU } ]\n",
        "versions": "version_policy { all { } }\n",
        "parameters": 'parameters { key: "new" value { string_value: "a" } }\n',
    }.items():
        yield f"infer before a change of {name}", _two("second", version="2")
        yield f"a change of {name}", Local(partial(_append, text))
        yield f"load after a change of {name}", _load("second")
        yield f"statistics after a change of {name}", statistics


def _append(text: str, asked: Asked) -> Answer:
    with (asked.target.repository / "second" / "config.pbtxt").open("a") as file:
        file.write(text)
    return {}


def broken() -> NamedCalls:
    """In mode none, where models have failed to load."""
    yield "index", _index()
    yield "index over HTTP", _index_over_http()
    yield "live", _unary("ServerLive", pb.ServerLiveRequest())
    yield "ready", _unary("ServerReady", pb.ServerReadyRequest())
    yield "ready over HTTP", Http(path="/v2/health/ready")
    yield "health check", _unary("/grpc.health.v1.Health/Check", pb.ServerReadyRequest())
    yield "infer with the good one", _two("good")
    yield "infer with a failed one", _two("no_labels")
    yield "infer with a version of a failed one", _two("no_labels", version="1")
    for verb in ("load", "unload"):
        yield f"{verb} is refused, HTTP", _http_control("good", verb)
    yield "load is refused", _load("good")
    yield "unload is refused", _unload("good")
    yield "statistics of all", _unary("ModelStatistics", pb.ModelStatisticsRequest())


def poll() -> NamedCalls:
    """In mode poll, every second."""
    yield "index at the start", _index()
    yield "load is refused", _load("good")
    yield "unload is refused over HTTP", _http_control("good", "unload")
    yield "a model vanishes", Local(_remove_second)
    yield "index without it", _index(until=lambda answer: "second" not in str(answer))
    yield "infer with what vanished", _two("second")
    yield "a version is added", Local(_add_version)
    yield (
        "index with the version",
        _index(
            until=lambda answer: "'2'" in str(answer) and "UNLOADING" not in str(answer) and "unloaded" in str(answer)
        ),
    )
    yield "infer with the new version", _two("good")
    yield "a config is broken", Local(_break_config)
    yield "infer with the one whose config broke", _two("first")


def _remove_second(asked: Asked) -> Answer:
    folder = asked.target.repository / "second"
    folder.rename(asked.target.repository.parent / "removed")
    return {}


def _add_version(asked: Asked) -> Answer:
    (asked.target.repository / "good" / "2").mkdir()
    return {}


def _break_config(asked: Asked) -> Answer:
    (asked.target.repository / "first" / "config.pbtxt").write_text("no_such_field: 1")
    return {}


def cache() -> NamedCalls:
    """With a response cache."""

    def ask(model: str, first: int, **options: Any) -> Unary:
        return infer(model, integers("INPUT0", (1, 2), first, 2), **options)

    def counted(answer: Answer) -> bool:
        found = answer.get("response", {}).get("model_stats", [{}])
        return int(found[0].get("inference_stats", {}).get("success", {}).get("count", 0)) >= 5

    yield from {
        "miss": ask("cached", 1, id="first"),
        "hit": ask("cached", 1, id="second"),
        "hit with parameters": ask("cached", 1, parameters={"x": 1}),
        "hit with an output": ask("cached", 1, outputs=["OUTPUT0"]),
        "miss with other data": ask("cached", 3),
        "refused": infer("cached", integers("INPUT0", (1, 3), 1, 2, 3)),
        "uncached": ask("uncached", 1),
        "uncached again": ask("uncached", 1),
    }.items()
    yield "statistics of cached", _unary("ModelStatistics", pb.ModelStatisticsRequest(name="cached"), counted)
    yield "statistics of cached, HTTP", Http(path="/v2/models/cached/stats")
    yield "statistics of uncached", _unary("ModelStatistics", pb.ModelStatisticsRequest(name="uncached"))
    yield "config of cached", Http(path="/v2/models/cached/config")
    yield "metrics of cached", Local(_cache_metrics)


def _cache_metrics(asked: Asked) -> Answer:
    text = Http(path="/metrics", metrics=True).answer(asked)["body"]["text"]
    series = {}
    for line in text.splitlines():
        if line.startswith(("nv_cache", "nv_inference")) and 'model="cached"' in line:
            labels, _, value = line.rpartition(" ")
            series[labels] = "some time" if "duration" in labels else float(value)
    return series
