"""Our protocol text against the descriptors inside the published client packages, in both directions."""

from collections.abc import Iterator

import pytest
import tritonclient.grpc.model_config_pb2 as triton_config
import tritonclient.grpc.service_pb2 as triton_service
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from grpc_health.v1 import health_pb2 as peer_health
from grpc_reflection.v1alpha import reflection_pb2 as peer_reflection
from npuserve._proto import POOL, health_pb2, inference_pb2, model_config_pb2, reflection_pb2, reflection_v1alpha_pb2

Facts = dict[str, object]


def facts(*files: FileDescriptor) -> Facts:
    """Everything that a client can observe of the files, by full name; file names and comments are left out."""
    found: Facts = {}
    for file in files:
        proto = descriptor_pb2.FileDescriptorProto()
        file.CopyToProto(proto)
        scope = f".{proto.package}"
        found[f"{scope} syntax"] = proto.syntax
        for enum in proto.enum_type:
            found |= enum_facts(enum, scope)
        for message in proto.message_type:
            found |= message_facts(message, scope)
        for service in proto.service:
            found |= service_facts(service, scope)
    return found


def enum_facts(enum: descriptor_pb2.EnumDescriptorProto, scope: str) -> Facts:
    return {f"enum {scope}.{enum.name}": [(value.name, value.number) for value in enum.value]}


def message_facts(message: descriptor_pb2.DescriptorProto, scope: str) -> Facts:
    name = f"{scope}.{message.name}"
    oneofs = [oneof.name for oneof in message.oneof_decl]
    found: Facts = {
        f"message {name}": {
            "fields": sorted(field.number for field in message.field),
            "oneofs": sorted(oneofs),
            "map entry": message.options.map_entry,
            "reserved": [(span.start, span.end) for span in message.reserved_range] + list(message.reserved_name),
        }
    }
    for field in message.field:
        found[f"field {name} {field.number}"] = {
            "name": field.name,
            "label": field.label,
            "type": field.type,
            "type name": field.type_name,
            "json name": field.json_name,
            "default": field.default_value,
            "optional": field.proto3_optional,
            "packed": field.options.packed if field.options.HasField("packed") else None,
            "oneof": oneofs[field.oneof_index] if field.HasField("oneof_index") else None,
        }
    for enum in message.enum_type:
        found |= enum_facts(enum, name)
    for nested in message.nested_type:
        found |= message_facts(nested, name)
    return found


def service_facts(service: descriptor_pb2.ServiceDescriptorProto, scope: str) -> Facts:
    name = f"service {scope}.{service.name}"
    found: Facts = {name: sorted(method.name for method in service.method)}
    for method in service.method:
        found[f"{name}/{method.name}"] = (
            method.input_type,
            method.output_type,
            method.client_streaming,
            method.server_streaming,
        )
    return found


def as_package(found: Facts, old: str, new: str) -> Facts:
    """The same facts with one package renamed."""

    def renamed(value: object) -> object:
        if isinstance(value, str):
            return value.replace(old, new)
        if isinstance(value, dict):
            return {key: renamed(item) for key, item in value.items()}
        if isinstance(value, tuple):
            return tuple(renamed(item) for item in value)
        return value

    return {key.replace(old, new): renamed(value) for key, value in found.items()}


CASES = {
    "inference": (
        facts(inference_pb2.DESCRIPTOR, model_config_pb2.DESCRIPTOR),
        facts(triton_service.DESCRIPTOR, triton_config.DESCRIPTOR),
    ),
    "health": (facts(health_pb2.DESCRIPTOR), facts(peer_health.DESCRIPTOR)),
    "reflection v1alpha": (facts(reflection_v1alpha_pb2.DESCRIPTOR), facts(peer_reflection.DESCRIPTOR)),
    # The published package has only v1alpha; version 1 is the same text under another package name.
    "reflection v1": (
        facts(reflection_pb2.DESCRIPTOR),
        as_package(facts(peer_reflection.DESCRIPTOR), "grpc.reflection.v1alpha", "grpc.reflection.v1"),
    ),
}


def every_fact() -> Iterator[tuple[str, str]]:
    for case, (ours, theirs) in CASES.items():
        for key in sorted(ours.keys() | theirs.keys()):
            yield case, key


def test_the_comparison_sees_whole_protocols() -> None:
    ours, theirs = CASES["inference"]
    assert len(theirs) > 400
    assert sum(key.startswith("service .inference.GRPCInferenceService/") for key in ours) == 20
    assert all(len(theirs) > 5 for _, theirs in CASES.values())


@pytest.mark.parametrize(("case", "key"), list(every_fact()))
def test_each_fact_of_our_protocol_is_the_published_one(case: str, key: str) -> None:
    ours, theirs = CASES[case]
    assert ours.get(key) == theirs.get(key)
    assert key in ours


def test_our_classes_live_in_a_pool_of_their_own() -> None:
    assert inference_pb2.ModelInferRequest.DESCRIPTOR.file.pool is POOL
    default = descriptor_pool.Default().FindMessageTypeByName("inference.ModelInferRequest")
    assert default is triton_service.ModelInferRequest.DESCRIPTOR
    assert default is not inference_pb2.ModelInferRequest.DESCRIPTOR


def test_a_message_of_the_client_package_is_read_by_ours_and_back() -> None:
    theirs = triton_service.ModelInferRequest(model_name="bert", id="7", raw_input_contents=[b"\1\2"])
    theirs.parameters["priority"].int64_param = 3
    theirs.inputs.add(name="input_ids", datatype="INT64", shape=[1, -1])
    ours = inference_pb2.ModelInferRequest.FromString(theirs.SerializeToString())
    assert ours.inputs[0].shape == [1, -1]
    assert ours.parameters["priority"].int64_param == 3
    assert triton_service.ModelInferRequest.FromString(ours.SerializeToString()) == theirs
