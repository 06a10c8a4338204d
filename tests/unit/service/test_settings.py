"""LogSettings and TraceSetting over gRPC, with the sentences of Triton 2.51."""

import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from npuserve._proto import inference_pb2 as pb
from npuserve.core.errors import ServeError
from npuserve.core.status import StatusCode
from npuserve.service.call import Call
from npuserve.service.methods import UnaryMethod
from support.rest import Rest, add_copy_model, loaded_registry, tensor_config


@pytest.fixture(autouse=True)
def root_level() -> Iterator[None]:
    level = logging.getLogger().level
    yield
    logging.getLogger().setLevel(level)


@pytest.fixture
async def rest(tmp_path: Path) -> AsyncIterator[Rest]:
    tensors = tensor_config("input", "IN", "FP32", 1) + tensor_config("output", "OUT", "FP32", 1)
    add_copy_model(tmp_path, "m", tensors)
    async with loaded_registry(tmp_path) as registry:
        yield Rest(registry)


async def call(rest: Rest, name: str, request: Any) -> Any:
    method = rest.methods[f"/inference.GRPCInferenceService/{name}"]
    assert isinstance(method, UnaryMethod)
    return await method.handler(request, Call())


def log_request(**settings: object) -> pb.LogSettingsRequest:
    kinds = {bool: "bool_param", int: "uint32_param", str: "string_param"}
    request = pb.LogSettingsRequest()
    for key, value in settings.items():
        setattr(request.settings[key], kinds[type(value)], value)
    return request


def trace_request(model: str = "", **settings: list[str]) -> pb.TraceSettingRequest:
    request = pb.TraceSettingRequest(model_name=model)
    for key, values in settings.items():
        request.settings[key].SetInParent()
        request.settings[key].value.extend(values)
    return request


async def test_all_log_settings_are_answered_whatever_was_changed(rest: Rest) -> None:
    response = await call(rest, "LogSettings", log_request(log_verbose_level=2, log_info=False, unknown="x"))
    settings = {key: getattr(value, value.WhichOneof("parameter_choice")) for key, value in response.settings.items()}
    assert settings == {
        "log_file": "", "log_info": False, "log_warning": True, "log_error": True, "log_verbose_level": 2,
        "log_format": "default",
    }  # fmt: skip
    assert rest.log_settings.options.verbose == 2
    assert logging.getLogger().level == logging.DEBUG


@pytest.mark.parametrize(
    ("settings", "status", "message"),
    [
        ({"log_file": "x"}, StatusCode.UNIMPLEMENTED, "log file location can not be updated through network protocol"),
        ({"log_info": "x"}, StatusCode.INVALID_ARGUMENT, "expect boolean for 'log_info'"),
        ({"log_verbose_level": True}, StatusCode.INVALID_ARGUMENT, "expect int32 for 'log_verbose_level'"),
        ({"log_format": 1}, StatusCode.INVALID_ARGUMENT, "expect string for 'log_format'"),
        ({"log_format": "x"}, StatusCode.INVALID_ARGUMENT, "invalid argument for log_format, got: x"),
    ],
)
async def test_a_wrong_log_setting_is_refused_and_nothing_changed(
    rest: Rest, settings: dict[str, object], status: StatusCode, message: str
) -> None:
    before = rest.log_settings.options
    with pytest.raises(ServeError) as raised:
        await call(rest, "LogSettings", log_request(log_error=False, **settings))
    assert (raised.value.status, raised.value.message) == (status, message)
    assert rest.log_settings.options == before


async def test_trace_settings_are_lists(rest: Rest) -> None:
    response = await call(rest, "TraceSetting", trace_request("m", trace_level=["TIMESTAMPS"], trace_rate=["3"]))
    assert {key: list(setting.value) for key, setting in response.settings.items()} == {
        "trace_level": ["TIMESTAMPS"], "trace_rate": ["3"], "trace_count": ["-1"], "log_frequency": ["0"],
        "trace_file": ["/tmp/t.json"], "trace_mode": ["triton"],
    }  # fmt: skip
    cleared = await call(rest, "TraceSetting", trace_request("m", trace_level=[], trace_rate=[]))
    assert list(cleared.settings["trace_level"].value) == ["OFF"]
    assert list(cleared.settings["trace_rate"].value) == ["1000"]


@pytest.mark.parametrize(
    ("request_", "status", "message"),
    [
        (trace_request(trace_rate=["1", "2"]), StatusCode.INVALID_ARGUMENT, "expect only 1 value for 'trace_rate'"),
        (trace_request(trace_file=["x"]), StatusCode.UNIMPLEMENTED,
         "trace file location can not be updated through network protocol"),
        (trace_request("nope"), StatusCode.INVALID_ARGUMENT, "Request for unknown model : nope"),
    ],
)  # fmt: skip
async def test_a_wrong_trace_setting_is_refused(
    rest: Rest, request_: pb.TraceSettingRequest, status: StatusCode, message: str
) -> None:
    with pytest.raises(ServeError) as raised:
        await call(rest, "TraceSetting", request_)
    assert (raised.value.status, raised.value.message) == (status, message)
