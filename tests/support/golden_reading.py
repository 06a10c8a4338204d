"""Calls that only read: health, metadata, config, statistics, trace and log settings, metrics."""

from google.protobuf.message import Message
from grpc_health.v1 import health_pb2
from support.golden_calls import (
    HEALTH,
    Answer,
    Asked,
    Http,
    Local,
    NamedCalls,
    Stream,
    Unary,
    infer,
    infer_request,
    integers,
    text,
)
from support.golden_models import SERVED
from tritonclient.grpc import service_pb2 as pb


def _both(name: str, unary: Unary, path: str) -> NamedCalls:
    yield f"{name}, gRPC", unary
    yield f"{name}, HTTP", Http(path=path)


def _unary(method: str, request: Message) -> Unary:
    return Unary(method=method, request=request)


def health() -> NamedCalls:
    yield from _both("live", _unary("ServerLive", pb.ServerLiveRequest()), "/v2/health/live")
    yield from _both("ready", _unary("ServerReady", pb.ServerReadyRequest()), "/v2/health/ready")
    for model, version in (("simple", ""), ("simple", "1"), ("simple", "9"), ("nope", ""), ("latest_two", "3")):
        path = f"/v2/models/{model}" + (f"/versions/{version}" if version else "") + "/ready"
        request = pb.ModelReadyRequest(name=model, version=version)
        yield from _both(f"model {model} '{version}' ready", _unary("ModelReady", request), path)
    yield "model ready, no number", _unary("ModelReady", pb.ModelReadyRequest(name="simple", version="x"))
    yield "model ready, no name", _unary("ModelReady", pb.ModelReadyRequest())
    for service in ("", "inference.GRPCInferenceService", "simple"):
        yield f"health check of '{service}'", _unary(HEALTH + "Check", health_pb2.HealthCheckRequest(service=service))
    for path in ("/v2/health/live/", "/v2/health", "/v2/healthy", "/v2/models", "/v2/", "/", "/v1", "/v2/models/"):
        yield f"GET {path}", Http(path=path)
    for method, path in (("POST", "/v2/health/live"), ("PUT", "/v2"), ("POST", "/v2/models/simple/config")):
        yield f"{method} {path}", Http(method=method, path=path)
    yield "unknown method", Unary(method="/inference.GRPCInferenceService/Nope", request=b"")
    yield "unreadable message", Unary(method="/inference.GRPCInferenceService/ModelReady", request=b"\xff\xff\xff")


def metadata() -> NamedCalls:
    yield from _both("server metadata", _unary("ServerMetadata", pb.ServerMetadataRequest()), "/v2")
    for model in SERVED:
        request = pb.ModelMetadataRequest(name=model.name)
        yield from _both(f"metadata of {model.name}", _unary("ModelMetadata", request), f"/v2/models/{model.name}")
    for model_name, version in (
        *(("simple", "1"), ("simple", "2"), ("latest_two", "3"), ("latest_two", "1"), ("nope", ""), ("nope", "1")),
        *(("simple", "0"), ("simple", "01")),
    ):
        request = pb.ModelMetadataRequest(name=model_name, version=version)
        path = f"/v2/models/{model_name}" + (f"/versions/{version}" if version else "")
        yield from _both(f"metadata of {model_name} '{version}'", _unary("ModelMetadata", request), path)
    for version in ("x", "-1", "1x"):
        request = pb.ModelMetadataRequest(name="simple", version=version)
        yield f"metadata of simple '{version}'", _unary("ModelMetadata", request)


def config() -> NamedCalls:
    for model in SERVED:
        request = pb.ModelConfigRequest(name=model.name)
        path = f"/v2/models/{model.name}/config"
        yield from _both(f"config of {model.name}", _unary("ModelConfig", request), path)
    for name, version in (("simple", "1"), ("simple", "2"), ("nope", "")):
        request = pb.ModelConfigRequest(name=name, version=version)
        path = f"/v2/models/{name}" + (f"/versions/{version}" if version else "") + "/config"
        yield from _both(f"config of {name} '{version}'", _unary("ModelConfig", request), path)


def statistics() -> NamedCalls:
    for index in range(3):
        yield f"load {index}", infer("counted", integers("INPUT0", (1, 2), index, 1))
    yield "load of four rows", infer("counted", integers("INPUT0", (4, 2), *range(8)))
    yield "load that is refused", infer("counted", integers("INPUT0", (1, 3), 1, 2, 3))
    yield "load of an unknown output", infer("counted", integers("INPUT0", (1, 2), 1, 2), outputs=["NOPE"])

    def counted(answer: Answer) -> bool:
        found = answer.get("response", {}).get("model_stats", [{}])
        return int(found[0].get("inference_count", 0)) >= 7

    for name, version in (
        ("counted", ""),
        ("counted", "1"),
        ("idle", ""),
        ("queued", ""),
        ("every", ""),
        ("every", "2"),
    ):
        path = f"/v2/models/{name}" + (f"/versions/{version}" if version else "") + "/stats"
        until = counted if name == "counted" else None
        request = pb.ModelStatisticsRequest(name=name, version=version)
        yield f"statistics of {name} '{version}', gRPC", Unary(method="ModelStatistics", request=request, until=until)
        if name != "every":
            yield f"statistics of {name} '{version}', HTTP", Http(path=path)
    yield (
        "one waits too long",
        Stream(requests=tuple(infer_request("hurried", text(words)) for words in ("slow 0.6", "a"))),
    )
    impatient = infer("hurried", text("a"), parameters={"timeout": 1000000})
    yield "a longer timeout than the default", impatient

    def failed(answer: Answer) -> bool:
        found = answer.get("response", {}).get("model_stats", [{}])
        return "count" in found[0].get("inference_stats", {}).get("fail", {})

    request = pb.ModelStatisticsRequest(name="hurried")
    yield "statistics of hurried", Unary(method="ModelStatistics", request=request, until=failed)
    for name, version in (("nope", ""), ("counted", "2"), ("counted", "x")):
        path = f"/v2/models/{name}" + (f"/versions/{version}" if version else "") + "/stats"
        request = pb.ModelStatisticsRequest(name=name, version=version)
        yield from _both(f"statistics of {name} '{version}'", _unary("ModelStatistics", request), path)
    yield "names in the statistics of all", Local(_all_statistics)


def _all_statistics(asked: Asked) -> Answer:
    answer = Unary(method="ModelStatistics", request=pb.ModelStatisticsRequest()).answer(asked)
    names = sorted(f"{entry['name']} {entry['version']}" for entry in answer["response"]["model_stats"])
    over_http = Http(path="/v2/models/stats").answer(asked)
    return {
        "gRPC": names,
        "HTTP": sorted(f"{e['name']} {e['version']}" for e in over_http.get("body", {}).get("model_stats", ())),
    }


def metrics() -> NamedCalls:
    yield "metric families of a copying model", Local(_metric_families)
    yield "pinned memory", Local(_pinned_memory)
    yield "another path of the metrics port", Http(path="/other", metrics=True)
    yield "POST to the metrics", Http(path="/metrics", method="POST", metrics=True)
    yield "metrics on the HTTP port", Http(path="/metrics")


def _metric_families(asked: Asked) -> Answer:
    """The types of Triton's metrics and the labels of `counted` and `hurried` in each, with the counts of its load."""
    lines = Http(path="/metrics", metrics=True).answer(asked)["body"]["text"].splitlines()
    types, series = {}, {}
    for line in lines:
        if line.startswith("# TYPE nv_"):
            _, _, name, kind = line.split()
            types[name] = kind
        elif line.startswith("nv_") and ('model="counted"' in line or 'model="hurried"' in line):
            labels, _, value = line.rpartition(" ")
            series[labels] = "some time" if "duration" in labels else float(value)
    host = {name for name in types if name.startswith(("nv_gpu", "nv_energy", "nv_pinned", "nv_cpu"))}
    return {"types": {name: kind for name, kind in types.items() if name not in host}, "series": series}


def _pinned_memory(asked: Asked) -> Answer:
    lines = Http(path="/metrics", metrics=True).answer(asked)["body"]["text"].splitlines()
    return dict(line.split() for line in lines if line.startswith("nv_pinned"))


def settings() -> NamedCalls:
    trace, log = "/v2/trace/setting", "/v2/logging"
    yield from _both("trace settings", _unary("TraceSetting", pb.TraceSettingRequest()), trace)
    model_trace = "/v2/models/simple/trace/setting"
    request = pb.TraceSettingRequest(model_name="simple")
    yield from _both("trace settings of simple", _unary("TraceSetting", request), model_trace)
    for name, body in _TRACE.items():
        request = pb.TraceSettingRequest()
        for key, given in body.items():
            request.settings[key].value.extend(given if isinstance(given, list) else [given])
        yield f"trace: {name}, gRPC", _unary("TraceSetting", request)
        yield f"trace: {name}, HTTP", Http(path=trace, method="POST", body=body)
    request = pb.TraceSettingRequest(model_name="simple")
    request.settings["trace_rate"].value.append("7")
    yield "trace: rate of simple", _unary("TraceSetting", request)
    yield "trace: everyone's after simple's", Http(path=trace)
    yield "trace: null clears simple's", Http(path=model_trace, method="POST", body={"trace_rate": None})
    yield "trace: unknown model, gRPC", _unary("TraceSetting", pb.TraceSettingRequest(model_name="nope"))
    yield "trace: unknown model, HTTP", Http(path="/v2/models/nope/trace/setting")
    for index, unreadable in enumerate((b"{", b"[]", b"1")):
        yield f"trace: unreadable body {index}", Http(path=trace, method="POST", body=unreadable)
    yield from _both("log settings", _unary("LogSettings", pb.LogSettingsRequest()), log)
    for name, chosen in _LOG.items():
        request = pb.LogSettingsRequest()
        for key, value in chosen.items():
            kind = {bool: "bool_param", int: "uint32_param", str: "string_param"}[type(value)]
            setattr(request.settings[key], kind, value)
        yield f"log: {name}, gRPC", _unary("LogSettings", request)
        yield f"log: {name}, HTTP", Http(path=log, method="POST", body=chosen)
    yield "log: null changes nothing", Http(path=log, method="POST", body={"log_info": None})
    yield "log: unreadable body", Http(path=log, method="POST", body=b"{")
    yield "log settings at the end", Http(path=log)


_TRACE: dict[str, dict[str, str | list[str]]] = {
    "rate and count": {"trace_rate": "500", "trace_count": "10"},
    "levels": {"trace_level": ["TIMESTAMPS", "TENSORS"]},
    "off again": {"trace_level": ["OFF"], "trace_rate": "1000", "trace_count": "-1"},
    "off and another": {"trace_level": ["OFF", "TIMESTAMPS"]},
    "file": {"trace_file": "other.json"},
    "no number": {"trace_rate": "often"},
    "rate below 0": {"trace_rate": "-1"},
    "rate of 1000": {"trace_rate": "1000"},
    "no count": {"trace_count": "many"},
    "count below -1": {"trace_count": "-2"},
    "no frequency": {"log_frequency": "x"},
    "frequency": {"log_frequency": "50"},
    "two rates": {"trace_rate": ["1", "2"]},
    "unknown key": {"trace_nothing": "1"},
    "unknown level": {"trace_level": ["LOUD"]},
    "mode": {"trace_mode": "opentelemetry"},
    "at the end": {"trace_level": ["OFF"], "log_frequency": "0"},
}
_LOG: dict[str, dict[str, bool | int | str]] = {
    "verbose": {"log_verbose_level": 1},
    "quiet": {"log_verbose_level": 0, "log_info": False},
    "loud again": {"log_info": True},
    "format": {"log_format": "ISO8601"},
    "format back": {"log_format": "default"},
    "unknown format": {"log_format": "xml"},
    "file": {"log_file": "/tmp/other.log"},
    "no boolean": {"log_info": "yes"},
    "no number": {"log_verbose_level": "1"},
    "no text": {"log_format": True},
    "unknown": {"log_nothing": True},
}
