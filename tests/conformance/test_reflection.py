"""Server reflection as the stock reflection client sees it, and the newer version beside it."""

from collections.abc import Iterable
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest as Request
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionResponse

SERVICES = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
    "inference.GRPCInferenceService",
]


def ask(channel: grpc.Channel, version: str, requests: Iterable[Request]) -> list[Any]:
    """Both versions have the same messages on the wire."""
    call = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=Request.SerializeToString,
        response_deserializer=ServerReflectionResponse.FromString,
    )
    return list(call(iter(requests), timeout=20))


def test_the_stock_client_learns_services_and_messages(channel: grpc.Channel) -> None:
    database = ProtoReflectionDescriptorDatabase(channel)
    assert sorted(database.get_services()) == SERVICES
    pool = DescriptorPool(database)
    service = pool.FindServiceByName("inference.GRPCInferenceService")
    assert len(service.methods) == 20
    assert pool.FindMessageTypeByName("inference.ModelConfig").fields_by_name["max_batch_size"].number == 4


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_each_request_of_a_stream_is_answered_in_order(channel: grpc.Channel, version: str) -> None:
    requests = [
        Request(host="h", list_services=""),
        Request(file_by_filename="inference.proto"),
        Request(file_containing_symbol="inference.GRPCInferenceService.ModelInfer"),
        Request(all_extension_numbers_of_type="inference.ModelConfig"),
        Request(file_by_filename="nope.proto"),
        Request(file_containing_symbol="no.such.Symbol"),
        Request(file_containing_symbol="inference.GRPCInferenceService.Nope"),
        Request(file_containing_extension={"containing_type": "inference.ModelConfig", "extension_number": 7}),
        Request(),
    ]
    answers = ask(channel, version, requests)
    assert [answer.original_request for answer in answers] == requests
    assert answers[0].valid_host == "h"
    assert [service.name for service in answers[0].list_services_response.service] == SERVICES
    for answer in answers[1:3]:
        files = [FileDescriptorProto.FromString(file) for file in answer.file_descriptor_response.file_descriptor_proto]
        assert [file.name for file in files] == ["inference.proto", "model_config.proto"]
    assert answers[3].all_extension_numbers_response.base_type_name == "inference.ModelConfig"
    not_found, invalid = grpc.StatusCode.NOT_FOUND.value[0], grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert [answer.error_response.error_code for answer in answers[4:]] == [not_found] * 4 + [invalid]
    assert answers[4].error_response.error_message == "nope.proto is not known to this server"
