"""ModelInfer: from a request message to a response message, through one model's executor."""

from npuserve._proto.inference_pb2 import ModelInferRequest, ModelInferResponse
from npuserve.core.errors import ServeError
from npuserve.core.status import StatusCode
from npuserve.repository.loading import LoadedModel
from npuserve.repository.registry import ModelRegistry
from npuserve.service.call import Call
from npuserve.service.decode import input_data
from npuserve.service.encode import infer_response
from npuserve.service.interface import ModelInterface, interface_of
from npuserve.service.parameters import check_output_parameters, check_request_parameters
from npuserve.service.validate import check_requested_outputs, check_unique_names, id_prefix, validated_inputs

# The refusals of a model's queue that name the request, which the queue does not know.
_NAMES_REQUEST = ("Exceeds maximum queue size", "Server is stopping, scheduler for model has stopped accepting")


class InferenceService:
    """Answers ModelInfer with the models of a registry."""

    def __init__(self, registry: ModelRegistry) -> None:
        self._registry = registry
        self._interfaces: dict[tuple[str, int], tuple[LoadedModel, ModelInterface]] = {}

    async def model_infer(self, request: ModelInferRequest, call: Call) -> ModelInferResponse:
        """Check the request in Triton's order, run it, return all or the requested outputs. Raises ServeError."""
        loaded = self._registry.lookup(request.model_name, request.model_version)
        if loaded.config.model_transaction_policy.decoupled:
            raise ServeError(
                StatusCode.UNIMPLEMENTED, "ModelInfer RPC doesn't support models with decoupled transaction policy"
            )
        model = self._interface(loaded)
        check_request_parameters(request)
        check_unique_names(request)
        data = input_data(request)
        check_output_parameters(request)
        check_requested_outputs(request, model)
        by_name, rows = validated_inputs(request, model, data)
        inputs = [by_name[spec.name] for spec in loaded.signature.inputs]
        if call.expired():
            raise ServeError(StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
        try:
            outputs = await loaded.executor.execute(inputs, rows)
        except ServeError as error:
            if error.message.startswith(_NAMES_REQUEST):
                raise ServeError(error.status, id_prefix(request) + error.message) from error
            raise
        return infer_response(request, model, loaded.version, outputs)

    def _interface(self, loaded: LoadedModel) -> ModelInterface:
        """Return the version's interface, read once per load."""
        key = (loaded.name, loaded.version)
        known = self._interfaces.get(key)
        if known is None or known[0] is not loaded:
            known = self._interfaces[key] = (loaded, interface_of(loaded.config))
        return known[1]
