"""Calls that need a key: which, and what they are answered without it."""

from collections.abc import AsyncIterator

import pytest
from google.protobuf.message import Message
from npuserve._proto import inference_pb2 as pb
from npuserve.config.restricted import GROUPS, Key, Restrictions
from npuserve.core.errors import ServeError
from npuserve.core.status import StatusCode
from npuserve.service import restricted as module
from npuserve.service.call import Call
from npuserve.service.methods import MethodTable, StreamMethod, UnaryMethod
from npuserve.service.restricted import restricted

SERVICE = "/inference.GRPCInferenceService/"
KEY = Call(metadata=(("triton-grpc-protocol-admin", "secret"),))


async def live(request: Message, call: Call) -> Message:
    return pb.ServerLiveResponse(live=True)


async def stream(requests: AsyncIterator[Message], call: Call) -> AsyncIterator[Message]:
    yield pb.ModelStreamInferResponse()


def table(**keys: Key) -> MethodTable:
    methods = MethodTable(
        [
            UnaryMethod(f"{SERVICE}RepositoryModelLoad", pb.ServerLiveRequest, pb.ServerLiveResponse, live),
            UnaryMethod(f"{SERVICE}ServerLive", pb.ServerLiveRequest, pb.ServerLiveResponse, live),
            StreamMethod(f"{SERVICE}ModelStreamInfer", pb.ModelInferRequest, pb.ModelStreamInferResponse, stream),
        ]
    )
    return restricted(methods, Restrictions(keys={group.replace("_", "-"): key for group, key in keys.items()}))


async def call(methods: MethodTable, rpc: str, with_key: Call) -> int:
    method = methods[SERVICE + rpc]
    if isinstance(method, UnaryMethod):
        await method.handler(pb.ServerLiveRequest(), with_key)
        return 1
    return len([response async for response in method.handler(_none(), with_key)])


async def _none() -> AsyncIterator[Message]:
    return
    yield


@pytest.mark.parametrize(
    ("group", "rpc"), [("model_repository", "RepositoryModelLoad"), ("inference", "ModelStreamInfer")]
)
async def test_a_restricted_call_needs_the_key(group: str, rpc: str) -> None:
    methods = table(**{group: Key("admin", "secret")})
    for wrong in (
        Call(),
        Call(metadata=(("triton-grpc-protocol-admin", "guess"),)),
        Call(metadata=(("admin", "secret"),)),
    ):
        with pytest.raises(ServeError) as caught:
            await call(methods, rpc, wrong)
        assert (caught.value.status, caught.value.message) == (
            StatusCode.UNAVAILABLE,
            "This protocol is restricted, expecting header 'triton-grpc-protocol-admin'",
        )
    assert await call(methods, rpc, KEY) == 1


async def test_other_calls_need_none() -> None:
    assert await call(table(model_repository=Key("admin", "secret")), "ServerLive", Call()) == 1


def test_every_group_names_its_calls() -> None:
    assert set(module._GROUPS) == set(GROUPS)
