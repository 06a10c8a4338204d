"""ModelInfer: from a request message to a response message."""

from collections.abc import Awaitable

from npuserve._proto.inference_pb2 import ModelInferRequest, ModelInferResponse
from npuserve.core.errors import ServeError
from npuserve.core.request import InferenceResponse
from npuserve.core.status import StatusCode
from npuserve.service.call import Call
from npuserve.service.decode import RequestDecoder
from npuserve.service.encode import infer_message
from npuserve.service.inference import InferenceService
from npuserve.service.parameters import wants_typed_contents


class InferRpc:
    """Answers ModelInfer with an inference service."""

    def __init__(self, inference: InferenceService, decoder: RequestDecoder) -> None:
        self._inference = inference
        self._decoder = decoder

    def model_infer(self, message: ModelInferRequest, call: Call) -> Awaitable[ModelInferResponse]:
        """Find the model, take the message apart, run it. Raises ServeError, at once or when it is awaited.

        The request is with its model when this returns, if the model's executor takes it at once.
        """
        model = self._inference.find(message.model_name, message.model_version)
        if model.is_decoupled:
            raise ServeError(
                StatusCode.UNIMPLEMENTED, "ModelInfer RPC doesn't support models with decoupled transaction policy"
            )
        request = self._decoder.decode(message, call)
        return _message(self._inference.answer(model, request), typed=wants_typed_contents(message))


async def _message(answering: Awaitable[InferenceResponse], *, typed: bool) -> ModelInferResponse:
    return infer_message(await answering, typed=typed)
