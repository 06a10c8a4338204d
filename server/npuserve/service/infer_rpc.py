"""ModelInfer: from a request message to a response message."""

from npuserve._proto.inference_pb2 import ModelInferRequest, ModelInferResponse
from npuserve.core.errors import ServeError
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

    async def model_infer(self, message: ModelInferRequest, call: Call) -> ModelInferResponse:
        """Find the model, take the message apart, run it. Raises ServeError."""
        model = self._inference.find(message.model_name, message.model_version)
        if model.is_decoupled:
            raise ServeError(
                StatusCode.UNIMPLEMENTED, "ModelInfer RPC doesn't support models with decoupled transaction policy"
            )
        request = self._decoder.decode(message, call)
        response = await self._inference.answer(model, request)
        return infer_message(response, typed=wants_typed_contents(message))
