"""The messages between server and worker, both ends in one process."""

import gc
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from npuserve.execution.python_model.channel import (
    IDLE_BLOCKS,
    INLINE_BYTES,
    SMALLEST_BLOCK_BYTES,
    Channel,
    ChannelError,
    Message,
    offsets,
)


def exchange(sender: Channel, receiver: Channel, value: object, *tensors: bytes) -> Message:
    """Send a message whole; return it as it arrives."""
    content, descriptors = sender.encode("kind", value, tensors)
    (message,) = receiver.feed(content, descriptors)
    return message


def test_values_and_tensors_arrive_as_they_were_sent() -> None:
    first, second = b"abc", bytes(range(256))
    message = exchange(Channel(), Channel(), ("x", 1, None, [2.5], {"a": b"b"}), first, second)
    (start, other), total = offsets([3, 256])
    assert (message.kind, message.value, len(message.payload)) == ("kind", ("x", 1, None, [2.5], {"a": b"b"}), total)
    assert message.payload[start : start + 3].tobytes() == first
    assert message.payload[other : other + 256].tobytes() == second


def test_messages_may_arrive_in_any_pieces() -> None:
    sender, receiver = Channel(), Channel()
    content = b"".join(sender.encode("k", number, [bytes([number]) * number])[0] for number in range(5))
    messages = [message for byte in content for message in receiver.feed(bytes([byte]))]
    assert [(message.value, message.payload.tobytes()) for message in messages] == [
        (number, bytes([number]) * number) for number in range(5)
    ]


def test_large_tensors_travel_in_a_block_that_is_used_again_once_it_is_free() -> None:
    sender, receiver = Channel(), Channel()
    content = os.urandom(INLINE_BYTES + 1)
    encoded, descriptors = sender.encode("k", 1, [content])
    assert len(descriptors) == 1
    assert len(encoded) < 1000
    (message,) = receiver.feed(encoded, descriptors)
    assert message.payload.tobytes() == content
    # While the receiver has a view of it, the next message takes another block.
    view = message.payload[5:10]
    del message
    gc.collect()
    exchange(receiver, sender, "nothing is free yet")
    encoded, descriptors = sender.encode("k", 2, [content])
    assert len(descriptors) == 1
    receiver.feed(encoded, descriptors)
    assert view.tobytes() == content[5:10]
    del view
    gc.collect()
    exchange(receiver, sender, "both are free")
    encoded, descriptors = sender.encode("k", 3, [content])
    assert descriptors == []
    (message,) = receiver.feed(encoded)
    assert message.payload.tobytes() == content


def test_a_payload_can_be_written_to_by_who_received_it() -> None:
    for size in (16, INLINE_BYTES + 1):
        message = exchange(Channel(), Channel(), None, bytes(size))
        message.payload[3] = 7
        assert message.payload[3] == 7


def test_blocks_that_nobody_needs_are_given_back_on_both_sides() -> None:
    sender, receiver = Channel(), Channel()
    mapped = _mapped()
    messages = [exchange(sender, receiver, None, bytes(SMALLEST_BLOCK_BYTES)) for _ in range(IDLE_BLOCKS + 5)]
    assert _mapped() - mapped == 2 * len(messages)
    del messages
    gc.collect()
    exchange(receiver, sender, "free")
    exchange(sender, receiver, "dropped")
    gc.collect()
    assert _mapped() - mapped == 2 * IDLE_BLOCKS


def _mapped() -> int:
    return Path("/proc/self/maps").read_text().count("npuserve_tensors")


def test_no_descriptor_stays_open() -> None:
    sender, receiver = Channel(), Channel()
    before = len(list(Path("/proc/self/fd").iterdir()))
    messages = [exchange(sender, receiver, None, bytes(INLINE_BYTES + 1)) for _ in range(8)]
    # A mapping keeps a descriptor of its own.
    assert len(list(Path("/proc/self/fd").iterdir())) - before <= 2 * len(messages)
    del messages, sender, receiver
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.system, ("exit 1",))


@pytest.mark.parametrize(
    "body",
    [pickle.dumps(Evil()), b"", b"not pickled", pickle.dumps(7), pickle.dumps((1, 2)), pickle.dumps(np.float32(1))],
    ids=["code", "empty", "garbage", "no tuple", "too short", "a class"],
)
def test_what_is_no_message_is_refused_and_runs_nothing(body: bytes) -> None:
    with pytest.raises(ChannelError):
        Channel().feed(struct.pack("<II", len(body), 0) + body)
