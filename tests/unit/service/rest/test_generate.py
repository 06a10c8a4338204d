"""The generate extension, with the answers of Triton 2.51."""

from typing import Any

import pytest
from support.rest import Rest

GENERATE = "/v2/models/gen/generate"
NOT_ONE = (
    "generate expects model to produce exactly 1 response, use generate stream for model that generates various number "
    "of responses"
)
SHAPE = "The schema can not convert input '{}' to tensor with proper shape"


async def test_members_become_inputs_and_outputs_flat_members(rest: Rest) -> None:
    answer = await rest.post(GENERATE, {"TEXT": "hi", "id": "i"})
    assert answer.status == 200
    assert answer.body == b'{"TEXT_OUT":"hi","kept":1,"id":"i","model_name":"gen","model_version":"1"}'


async def test_a_model_that_is_not_decoupled_generates_too(rest: Rest) -> None:
    answer = await rest.post("/v2/models/two/generate", {"INPUT0": [1, 2, 3, 4], "INPUT1": [5, 6, 7, 8]})
    assert answer.body == b'{"OUTPUT0":[1,2,3,4],"OUTPUT1":[5,6,7,8],"model_name":"two","model_version":"1"}'


@pytest.mark.parametrize(("given", "returned"), [(7, "7.0"), ([7], "7.0"), ([1, 2.5], "[1.0,2.5]")])
async def test_one_element_is_a_scalar(rest: Rest, given: object, returned: str) -> None:
    answer = await rest.post("/v2/models/id_FP32/generate", {"IN": given})
    assert answer.body.startswith(f'{{"OUT":{returned},'.encode())


async def test_the_last_variable_dim_takes_what_the_fixed_ones_leave(rest: Rest) -> None:
    await rest.post(GENERATE, {"TEXT": "hi", "L": [1, 2, 3, 4]})
    request = rest.registry.lookup("gen").executor.requests[-1]  # type: ignore[attr-defined]  # a CopyExecutor
    assert [tensor.shape for tensor in request.inputs] == [(1,), (2, 2)]


async def test_other_members_become_parameters(rest: Rest) -> None:
    await rest.post(GENERATE, {"TEXT": "hi", "x": 1, "y": "s", "z": 1.5, "parameters": {"b": True}})
    request = rest.registry.lookup("gen").executor.requests[-1]  # type: ignore[attr-defined]  # a CopyExecutor
    assert request.parameters == {"x": 1, "y": "s", "z": 1.5, "b": True}


async def test_the_id_is_a_parameter_too(rest: Rest) -> None:
    await rest.post(GENERATE, {"TEXT": "hi", "id": "i"})
    request = rest.registry.lookup("gen").executor.requests[-1]  # type: ignore[attr-defined]  # a CopyExecutor
    assert (request.id, request.parameters) == ("i", {"id": "i"})


async def test_an_error_after_one_response_is_another_response(rest: Rest) -> None:
    answer = await rest.post(GENERATE, {"TEXT": "hi", "N": 100})
    assert (answer.status, answer.error) == (200, NOT_ONE)


@pytest.mark.parametrize("count", [0, 2, 7])
async def test_any_other_number_of_responses_is_an_error_in_the_body(rest: Rest, count: int) -> None:
    answer = await rest.post(GENERATE, {"TEXT": "hi", "N": count})
    assert (answer.status, answer.error) == (200, NOT_ONE)


async def test_a_models_first_error_is_400(rest: Rest) -> None:
    answer = await rest.post(GENERATE, {"TEXT": "hi", "N": -1})
    assert (answer.status, answer.error) == (400, "model says no")


REFUSALS: list[tuple[Any, int, str]] = [
    ({"TEXT": ["a", "b"]}, 400, SHAPE.format("TEXT")),
    ({"TEXT": []}, 400, SHAPE.format("TEXT")),
    ({"TEXT": "hi", "L": [1, 2, 3]}, 400, SHAPE.format("L")),
    ({"TEXT": 1}, 500, "Unable to parse JSON bytes array: attempt to access JSON non-string as string"),
    ({"TEXT": "hi", "N": 1.5}, 500,
     "Unable to parse 'data': attempt to access JSON non-signed-integer as signed-integer"),
    ({"TEXT": "hi", "L": [[1, 2], [3, 4]]}, 500,
     "Unable to parse 'data': Shape does not match true shape of 'data' field"),
    ({"TEXT": "hi", "x": {"y": 1}}, 400,
     "parameter 'x' has invalid type. It should be either 'int', 'bool', or 'string'."),
    ({"TEXT": "hi", "id": 3}, 500, "Unable to parse 'id': attempt to access JSON non-string as string"),
    ([], 500, "attempt to get members for non-object"),
    ("", 500, "failed to parse the request JSON buffer: The document is empty. at 0"),
]  # fmt: skip


@pytest.mark.parametrize("path", [GENERATE, f"{GENERATE}_stream"])
@pytest.mark.parametrize(("body", "status", "message"), REFUSALS)
async def test_what_is_no_request_is_refused(rest: Rest, path: str, body: Any, status: int, message: str) -> None:
    answer = await rest.post(path, body)
    assert (answer.status, answer.error) == (status, message)


@pytest.mark.parametrize("path", [GENERATE, f"{GENERATE}_stream"])
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "", "Identity"])
async def test_no_body_is_unpacked(rest: Rest, path: str, encoding: str) -> None:
    answer = await rest.post(path, {"TEXT": "hi"}, content_encoding=encoding)
    assert (answer.status, answer.error) == (400, "Unsupported content-encoding, only 'identity' is supported.")
    assert (await rest.post(path, {"TEXT": "hi"}, content_encoding="identity")).status == 200


async def test_halves_are_refused(rest: Rest) -> None:
    assert (await rest.post("/v2/models/id_FP16/generate", {"IN": 7})).status == 400


@pytest.mark.parametrize("count", [1, 3])
async def test_a_stream_is_an_event_a_response(rest: Rest, count: int) -> None:
    answer = await rest.post(f"{GENERATE}_stream", {"TEXT": "hi", "N": count})
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.body == b'data: {"TEXT_OUT":"hi","model_name":"gen","model_version":"1"}\n\n' * count


async def test_a_stream_of_nothing_is_empty(rest: Rest) -> None:
    answer = await rest.post(f"{GENERATE}_stream", {"TEXT": "hi", "N": 0})
    assert (answer.status, answer.body) == (200, b"")


async def test_an_error_first_is_400_and_one_later_an_event(rest: Rest) -> None:
    first = await rest.post(f"{GENERATE}_stream", {"TEXT": "hi", "N": -1})
    assert (first.status, first.body) == (400, b'data: {"error":"model says no"}\n\n')
    later = await rest.post(f"{GENERATE}_stream", {"TEXT": "hi", "N": 7})
    assert later.status == 200
    assert later.body.endswith(b'data: {"error":"late no"}\n\n')
    assert later.body.count(b"data: ") == 8


async def test_an_unknown_model_is_not_found(rest: Rest) -> None:
    answer = await rest.post("/v2/models/nope/generate", {})
    assert (answer.status, answer.error) == (404, "Request for unknown model: 'nope' is not found")
