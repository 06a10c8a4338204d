"""Protobuf messages as Triton's HTTP answers print them."""

from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

_MESSAGE = FieldDescriptor.CPPTYPE_MESSAGE
_ENUM = FieldDescriptor.CPPTYPE_ENUM
# A descriptor of either of protobuf's implementations, which have no type in common.
_Field = Any


def message_json(message: Message) -> dict[str, object]:
    """Return a message as a JSON object: every field in the proto's order, enums by name, all integers as numbers.

    Messages and members of a oneof are there only if they are set, all else always.
    """
    found: dict[str, object] = {}
    field: _Field
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if _is_map(field):
            found[field.name] = {
                str(key): _value(field.message_type.fields_by_name["value"], value[key]) for key in value
            }
        elif field.is_repeated:
            found[field.name] = [_value(field, element) for element in value]
        elif not field.has_presence or message.HasField(field.name):
            found[field.name] = _value(field, value)
    return found


def _is_map(field: _Field) -> bool:
    return bool(field.cpp_type == _MESSAGE and field.message_type.GetOptions().map_entry)


def _value(field: _Field, value: object) -> object:
    if isinstance(value, Message):
        return message_json(value)
    if field.cpp_type == _ENUM:
        name: str = field.enum_type.values_by_number[value].name
        return name
    return value
