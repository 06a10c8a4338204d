"""Everything but inference over HTTP: paths, methods, health, metadata, config, statistics, memory, settings."""

import json
import logging
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.rest import Rest, loaded_registry


@pytest.fixture(autouse=True)
def root_level() -> Iterator[None]:
    """The log settings under test set the root logger's level."""
    level = logging.getLogger().level
    yield
    logging.getLogger().setLevel(level)


@pytest.mark.parametrize(
    "path",
    ["/", "/v2/", "/v2/models", "/v2/models/two/", "/v2/models/two/versions/x", "/v2/models/two/versions/1/",
     "/metrics", "/v2/health", "/v2/repository", "/v2/models/two/nope", "/v3"],
)  # fmt: skip
async def test_an_unknown_path_is_not_found(rest: Rest, path: str) -> None:
    answer = await rest.get(path)
    assert (answer.status, answer.error) == (404, "Not Found")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v2/health/live"),
        ("DELETE", "/v2/models/two"),
        ("GET", "/v2/models/two/infer"),
        ("GET", "/v2/models/two/generate"),
        ("GET", "/v2/repository/index"),
        ("PUT", "/v2/trace/setting"),
        ("POST", "/v2/systemsharedmemory/status"),
        ("PUT", "/v2"),
    ],
)
async def test_another_method_is_refused(rest: Rest, method: str, path: str) -> None:
    answer = await rest.call(method, path)
    assert (answer.status, answer.error) == (405, "Method Not Allowed")


@pytest.mark.parametrize(
    "path", ["/v2/health/live", "/v2/health/ready?x=1", "/v2/models/two/ready", "/v2/models/two/versions/1/ready"]
)
async def test_what_is_well_answers_200_and_nothing(rest: Rest, path: str) -> None:
    answer = await rest.get(path)
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize("path", ["/v2/models/nope/ready", "/v2/models/two/versions/7/ready"])
async def test_a_model_that_is_not_ready_is_400(rest: Rest, path: str) -> None:
    answer = await rest.get(path)
    assert (answer.status, answer.error) == (400, "Model version not ready")


async def test_the_servers_metadata_has_name_version_and_extensions(rest: Rest) -> None:
    document = (await rest.get("/v2")).json
    assert list(document) == ["name", "version", "extensions"]
    assert (document["name"], document["version"]) == ("s", "1")


async def test_a_models_metadata_reads_as_tritons(rest: Rest) -> None:
    assert (await rest.get("/v2/models/id_FP32")).body == (
        b'{"name":"id_FP32","versions":["1"],"platform":"copy","inputs":[{"name":"IN","datatype":"FP32","shape":[-1,-1]}],'
        b'"outputs":[{"name":"OUT","datatype":"FP32","shape":[-1,-1]}]}'
    )
    assert (await rest.get("/v2/models/a%20b")).error == "Request for unknown model: 'a%20b' is not found"


async def test_a_config_has_every_field_in_tritons_order(rest: Rest) -> None:
    answer = await rest.get("/v2/models/gen/config")
    config = answer.json
    # As the real Triton prints a python model without batching.
    assert list(config) == [
        "name", "platform", "backend", "runtime", "version_policy", "max_batch_size", "input", "output", "batch_input",
        "batch_output", "optimization", "instance_group", "default_model_filename", "cc_model_filenames", "metric_tags",
        "parameters", "model_warmup", "model_transaction_policy",
    ]  # fmt: skip
    assert json.dumps(config["input"][2], separators=(",", ":")) == (
        '{"name":"L","data_type":"TYPE_FP32","format":"FORMAT_NONE","dims":[2,-1],"is_shape_tensor":false,'
        '"allow_ragged_batch":false,"optional":true,"is_non_linear_format_io":false}'
    )
    assert config["version_policy"] == {"latest": {"num_versions": 1}}
    assert config["max_batch_size"] == 0
    assert config["model_transaction_policy"] == {"decoupled": True}
    assert (await rest.get("/v2/models/two/config")).json["metric_tags"] == {"x": "y"}


async def test_statistics_stand_in_tritons_order(rest: Rest) -> None:
    document = (await rest.get("/v2/models/two/stats")).json
    assert list(document) == ["model_stats"]
    assert list(document["model_stats"][0]) == [
        "name", "version", "last_inference", "inference_count", "execution_count", "inference_stats", "response_stats",
        "batch_stats", "memory_usage",
    ]  # fmt: skip
    assert document["model_stats"][0]["inference_stats"]["success"] == {"count": 0, "ns": 0}
    every = (await rest.get("/v2/models/stats")).json["model_stats"]
    assert len(every) == len(rest.registry.ready_models())
    answer = await rest.get("/v2/models/nope/stats")
    assert (answer.status, answer.error) == (400, "requested model 'nope' is not available")


CONTROL: list[tuple[str, object, int, str]] = [
    ("index", {"ready": 1}, 500, "attempt to access JSON non-boolean as boolean"),
    ("index", "{", 500, "failed to parse the request JSON buffer: Missing a name for object member. at 1"),
    ("models/two/load", "", 503, "explicit model load / unload is not allowed if polling is enabled"),
    ("models/two/load", {"parameters": 1}, 500, "attempt to get members for non-object"),
    ("models/two/load", {"parameters": {"config": 1}}, 500, "attempt to access JSON non-string as string"),
    ("models/two/load", {"parameters": {"foo": "x"}}, 500, "unexpected error on creating Triton parameter"),
    ("models/two/load", {"parameters": {"file:1/m": "é"}}, 400,
     "the value of load parameter 'file:1/m' is not base64"),
    ("x/models/two/load", "", 501, "'repository_name' specification is not supported"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "status", "message"), CONTROL)
async def test_what_is_no_control_call_is_refused(
    rest: Rest, path: str, body: object, status: int, message: str
) -> None:
    answer = await rest.post(f"/v2/repository/{path}", body)
    assert (answer.status, answer.error) == (status, message)


async def test_the_index_lists_the_repositories(rest: Rest) -> None:
    index = (await rest.post("/v2/repository/index")).json
    assert {"name": "two", "version": "1", "state": "READY"} in index
    assert (await rest.post("/v2/repository/index", {"ready": True})).json == index
    assert (await rest.post("/v2/repository/any/index", "[]")).json == index


REGION = "/v2/systemsharedmemory/region/r"
REGISTER: list[tuple[str, object, int, str]] = [
    (f"{REGION}/register", "", 500, "failed to parse the request JSON buffer: The document is empty. at 0"),
    (f"{REGION}/register", {}, 400, "Shared memory register request has no 'key' field"),
    (f"{REGION}/register", {"key": "/nope"}, 400, "Shared memory register request has no 'byte_size' field"),
    (f"{REGION}/register", {"key": 1, "byte_size": 4}, 500, "attempt to access JSON non-string as string"),
    (f"{REGION}/register", {"key": "/nope", "byte_size": -4}, 500,
     "attempt to access JSON non-unsigned-integer as unsigned-integer"),
    (f"{REGION}/register", {"key": "/nope", "byte_size": 4}, 500, "Unable to open shared memory region: '/nope'"),
    ("/v2/systemsharedmemory/register", {"key": "/nope", "byte_size": 4}, 400,
     "'region name' is necessary to register system shared memory region"),
    ("/v2/cudasharedmemory/region/r/register", {}, 400, "Shared memory register request has no 'raw_handle' field"),
    ("/v2/cudasharedmemory/region/r/register", {"raw_handle": {"b64": "!"}, "device_id": 0, "byte_size": 1}, 400,
     "'raw_handle' must be a valid base64 encoded cudaIpcMemHandle_t"),
    ("/v2/cudasharedmemory/region/r/register", {"raw_handle": {"b64": "AAAA"}, "byte_size": 1}, 500,
     "attempt to access non-existing object member 'device_id'"),
    ("/v2/cudasharedmemory/region/r/register", {"raw_handle": {"b64": "AAAA"}, "device_id": 0, "byte_size": 1}, 400,
     "failed to register CUDA shared memory region: 'r', GPUs not supported"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "status", "message"), REGISTER)
async def test_a_region_that_cannot_be_registered_is_refused(
    rest: Rest, path: str, body: object, status: int, message: str
) -> None:
    answer = await rest.post(path, body)
    assert (answer.status, answer.error) == (status, message)


@pytest.fixture
def key() -> Iterator[str]:
    name = f"npuserve_{uuid.uuid4().hex}"
    path = Path("/dev/shm") / name
    path.write_bytes(b"\0\0\xc0\x3f" + bytes(4092))
    yield f"/{name}"
    path.unlink()


async def test_tensors_may_lie_in_shared_memory(rest: Rest, key: str) -> None:
    assert (await rest.post(f"{REGION}/register", {"key": key, "byte_size": 64})).body == b""
    described = [{"name": "r", "key": key, "offset": 0, "byte_size": 64}]
    assert (await rest.get("/v2/systemsharedmemory/status")).json == described
    assert (await rest.get(f"{REGION}/status")).json == described
    region = {"shared_memory_region": "r", "shared_memory_byte_size": 4}
    given = {"name": "IN", "datatype": "FP32", "shape": [1, 1], "parameters": region}
    wanted = {"name": "OUT", "parameters": region | {"shared_memory_offset": 8}}
    answer = await rest.infer("id_FP32", {"inputs": [given], "outputs": [wanted]})
    assert answer.json["outputs"] == [{"name": "OUT", "datatype": "FP32", "shape": [1, 1]}]
    assert (Path("/dev/shm") / key[1:]).read_bytes()[8:12] == b"\0\0\xc0\x3f"
    far = await rest.call("POST", "/v2/models/id_FP32/infer", {"inputs": [given]}, peer="ipv4:10.0.0.1:5")
    assert far.status == 501
    assert "--allow-client-shm=true" in far.error
    assert (await rest.post(f"{REGION}/unregister")).status == 200
    assert (await rest.get(f"{REGION}/status")).error == "Unable to find system shared memory region: 'r'"
    assert (await rest.get("/v2/cudasharedmemory/status")).json == []
    assert (await rest.post("/v2/cudasharedmemory/unregister")).status == 200


LOG = {
    "log_file": "", "log_info": True, "log_warning": True, "log_error": True, "log_verbose_level": 0,
    "log_format": "default",
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        ({}, {}),
        ({"log_info": False}, {"log_info": False}),
        ({"log_verbose_level": 2, "log_format": "ISO8601"}, {"log_verbose_level": 2, "log_format": "ISO8601"}),
        ({"nope": 1, "log_info": None}, {}),
    ],
)
async def test_log_settings_are_changed_and_read(rest: Rest, change: object, changed: dict[str, object]) -> None:
    assert (await rest.get("/v2/logging")).json == LOG
    answer = await rest.post("/v2/logging", change)
    assert list(answer.json.items()) == list((LOG | changed).items())
    assert (await rest.get("/v2/logging")).json == LOG | changed


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        ("", 500, "failed to parse the request JSON buffer: The document is empty. at 0"),
        ({"log_info": 1}, 500, "attempt to access JSON non-boolean as boolean"),
        ({"log_error": False, "log_verbose_level": -1}, 500,
         "attempt to access JSON non-unsigned-integer as unsigned-integer"),
        ({"log_format": "x"}, 503, "invalid argument for --log_format, got: x"),
        ({"log_format": 1}, 500, "attempt to access JSON non-string as string"),
        ({"log_file": "x"}, 501, "log file location can not be updated through network protocol"),
    ],
)  # fmt: skip
async def test_a_wrong_log_setting_changes_nothing(rest: Rest, change: object, status: int, message: str) -> None:
    answer = await rest.post("/v2/logging", change)
    assert (answer.status, answer.error) == (status, message)
    assert (await rest.get("/v2/logging")).json == LOG


TRACE = {
    "trace_level": ["OFF"], "trace_rate": "1000", "trace_count": "-1", "log_frequency": "0",
    "trace_file": "/tmp/t.json", "trace_mode": "triton",
}  # fmt: skip
OF_TWO = "/v2/models/two/trace/setting"


async def test_trace_settings_of_a_model_go_before_the_global_ones(rest: Rest) -> None:
    assert list((await rest.get("/v2/trace/setting")).json.items()) == list(TRACE.items())
    own = {"trace_level": ["TIMESTAMPS", "TENSORS"], "trace_rate": "5"}
    assert (await rest.post(OF_TWO, own)).json == TRACE | own
    assert (await rest.get("/v2/trace/setting")).json == TRACE
    await rest.post("/v2/trace/setting", {"trace_rate": "7", "trace_count": "3"})
    assert (await rest.get(OF_TWO)).json == TRACE | own | {"trace_count": "3"}
    answer = await rest.post(OF_TWO, {"trace_rate": None, "trace_level": None})
    assert answer.json == TRACE | {"trace_rate": "7", "trace_count": "3"}
    assert (await rest.post("/v2/trace/setting", {"trace_rate": None, "trace_count": None})).json == TRACE
    assert (await rest.get(OF_TWO)).json == TRACE


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        ({"trace_rate": 5}, 500, "attempt to access JSON non-string as string"),
        ({"trace_rate": "x"}, 400, "Unable to parse 'trace_rate', got: x"),
        ({"trace_rate": "0"}, 400, "Attempting to set invalid trace setting :sample rate must be non-zero"),
        ({"trace_rate": "4294967296"}, 400,
         "Unable to parse 'trace_rate', value is out of range [ 0, 4294967295 ], got: 4294967296"),
        ({"trace_count": "-2"}, 400, "Unable to parse 'trace_count'. Expecting value >= -1, got:-2"),
        ({"log_frequency": "x"}, 400, "Unable to parse 'log_frequency', got: x"),
        ({"trace_level": "TIMESTAMPS"}, 500, "attempt to access JSON non-array as array"),
        ({"trace_level": ["OFF", "TENSORS"]}, 400, "Expect only one trace level 'OFF' is specified"),
        ({"trace_file": "x"}, 501, "trace file location can not be updated through network protocol"),
    ],
)  # fmt: skip
async def test_a_wrong_trace_setting_changes_nothing(rest: Rest, change: object, status: int, message: str) -> None:
    answer = await rest.post(OF_TWO, change)
    assert (answer.status, answer.error) == (status, message)
    assert (await rest.get(OF_TWO)).json == TRACE


@pytest.mark.parametrize("change", [{}, {"trace_mode": "opentelemetry"}, {"foo": "x"}, [], {"trace_level": ["FOO"]}])
async def test_unknown_trace_settings_are_ignored(rest: Rest, change: object) -> None:
    assert (await rest.post(OF_TWO, change)).json == TRACE


async def test_trace_settings_of_an_unknown_model_are_refused(rest: Rest) -> None:
    answer = await rest.get("/v2/models/nope/trace/setting")
    assert (answer.status, answer.error) == (400, "Request for unknown model : nope")


async def test_restricted_calls_need_their_key(repository: Path) -> None:
    async with loaded_registry(repository) as registry:
        rest = Rest(registry, restricted=["model-repository,logging:Admin-Key=secret", "health:h=1"])
        answer = await rest.post("/v2/repository/index")
        assert (answer.status, answer.error) == (403, "This API is restricted, expecting header 'admin-key'")
        assert (await rest.post("/v2/repository/index", admin_key="wrong")).status == 403
        assert (await rest.post("/v2/repository/index", admin_key="secret")).status == 200
        assert (await rest.get("/v2/health/live", admin_key="secret")).status == 403
        assert (await rest.get("/v2/health/live", h="1")).status == 200
        assert (await rest.get("/v2/models/two")).status == 200


async def test_an_unexpected_failure_is_500_and_for_the_log_alone(
    rest: Rest, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> bool:
        raise RuntimeError("inner")

    monkeypatch.setattr(rest.registry, "ready", fail)
    answer = await rest.get("/v2/health/ready")
    assert (answer.status, answer.error) == (500, "unexpected error")
    assert "inner" in caplog.text
