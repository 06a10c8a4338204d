"""Every refusal of a ModelInfer request, with the code and the words that Triton 2.51 was seen to use."""

from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from support.infer_requests import infer, pair_request
from support.judged_requests import ACCEPTED, INVALID, LOOKUP, input_parameters, output_parameters
from support.served_models import add_model
from support.server import serving
from tritonclient.grpc.service_pb2 import ModelInferRequest as Request
from tritonclient.grpc.service_pb2 import ModelInferResponse


def refusal(channel: grpc.Channel, request: Request) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as caught:
        infer(channel, request)
    details = caught.value.details()
    assert details is not None
    return caught.value.code().name, details


@pytest.mark.parametrize("case", LOOKUP)
def test_a_version_that_cannot_be_found_is_refused_as_triton_refuses_it(channel: grpc.Channel, case: str) -> None:
    request, code, text = LOOKUP[case]
    assert refusal(channel, request) == (code, text)


@pytest.mark.parametrize("case", INVALID)
def test_an_invalid_request_is_refused_as_triton_refuses_it(channel: grpc.Channel, case: str) -> None:
    request, text = INVALID[case]
    assert refusal(channel, request) == ("INVALID_ARGUMENT", text)


@pytest.mark.parametrize("make", [input_parameters, output_parameters])
def test_a_region_that_nobody_registered_is_not_found(channel: grpc.Channel, make: Callable[..., Request]) -> None:
    request = make(shared_memory_region="r", shared_memory_byte_size=64)
    assert refusal(channel, request) == ("NOT_FOUND", "Unable to find shared memory region: 'r'")


@pytest.mark.parametrize("case", ACCEPTED)
def test_what_triton_lets_pass_is_answered(channel: grpc.Channel, case: str) -> None:
    response = infer(channel, ACCEPTED[case])
    assert [output.name for output in response.outputs] == ["OUTPUT0", "OUTPUT1"]
    assert response.model_version == "1"


def test_a_sequence_longer_than_any_gear_is_an_invalid_argument_that_names_the_limit(channel: grpc.Channel) -> None:
    request = Request(model_name="tokens")
    for name in ("input_ids", "attention_mask"):
        request.inputs.add(name=name, datatype="INT64", shape=(1, 17))
        request.raw_input_contents.append(bytes(8 * 17))
    code, text = refusal(channel, request)
    assert code == "INVALID_ARGUMENT"
    assert "17" in text


def test_inputs_that_disagree_on_a_length_are_refused_and_not_padded_to_one(channel: grpc.Channel) -> None:
    request = Request(model_name="tokens")
    for name, length in (("input_ids", 4), ("attention_mask", 5)):
        request.inputs.add(name=name, datatype="INT64", shape=(1, length))
        request.raw_input_contents.append(bytes(8 * length))
    code, text = refusal(channel, request)
    assert code == "INVALID_ARGUMENT"
    assert "'input_ids' of shape [1,4]" in text
    assert "'attention_mask' of shape [1,5]" in text


def test_a_refusal_that_quotes_a_very_long_name_still_arrives(channel: grpc.Channel) -> None:
    code, text = refusal(channel, pair_request(model_name="é" * 20_000))
    assert code == "NOT_FOUND"
    assert text.startswith("Request for unknown model: 'ééé")


def test_a_version_of_very_many_digits_is_no_version(channel: grpc.Channel) -> None:
    code, text = refusal(channel, pair_request(model_version="9" * 5000))
    assert code == "INVALID_ARGUMENT"
    assert text.startswith("failed to get model version from specified version string '999")


def test_after_every_refusal_the_server_still_answers(channel: grpc.Channel) -> None:
    for request, _ in INVALID.values():
        refusal(channel, request)
    assert infer(channel, pair_request(id="after")).id == "after"


def test_undecodable_bytes_are_an_internal_error(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/inference.GRPCInferenceService/ModelInfer", None, None)(b"\xff\xff\xff", timeout=20)
    assert (caught.value.code().name, caught.value.details()) == ("INTERNAL", "Unable to parse request")


@pytest.mark.parametrize("path", ["/inference.GRPCInferenceService/Nope", "/no.such.Service/Method"])
def test_an_unknown_method_is_unimplemented_without_a_word(channel: grpc.Channel, path: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(path, None, None)(b"", timeout=20)
    assert (caught.value.code().name, caught.value.details()) == ("UNIMPLEMENTED", "")


def test_a_full_queue_refuses_by_the_requests_id_and_answers_what_it_took(tmp_path: Path) -> None:
    add_model(tmp_path, "narrow")
    with serving(tmp_path) as server, server.channel() as channel:
        call = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer", Request.SerializeToString, ModelInferResponse.FromString
        )
        pending = [call.future(pair_request(model_name="narrow", id=str(index)), timeout=20) for index in range(7)]
        outcomes = [(future.code().name, future.details()) for future in pending]
    refused = [index for index, (code, _) in enumerate(outcomes) if code != "OK"]
    assert 0 < len(refused) < 7
    for index in refused:
        assert outcomes[index] == ("UNAVAILABLE", f"[request id: {index}] Exceeds maximum queue size")
