"""Does what its input says, a word or two of it: the ways in which a model of Python's can answer, well or not."""

import json
import time
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        config = json.loads(args["model_config"])
        self._told = {
            "name": args["model_name"],
            "version": args["model_version"],
            "instance": args["model_instance_name"],
            "kind": args["model_instance_kind"],
            "device": args["model_instance_device_id"],
            "config": sorted(key for key in config if key in ("name", "backend", "input", "output", "max_batch_size")),
            "parameters": {key: value["string_value"] for key, value in config["parameters"].items()},
            "dtype": pb_utils.triton_string_to_numpy(
                pb_utils.get_output_config_by_name(config, "OUTPUT0")["data_type"]
            ).__name__,
        }

    def _called(self, model: str) -> str:
        """What another model answers."""
        numbers = pb_utils.Tensor("INPUT0", np.array([[1, 2, 3]], np.float32))
        asked = pb_utils.InferenceRequest(
            model_name=model, requested_output_names=["OUTPUT0"], inputs=[numbers], request_id="inner"
        )
        response = asked.exec()
        if response.has_error():
            error = response.error()
            codes = ("INTERNAL", "NOT_FOUND", "INVALID_ARG", "UNAVAILABLE")
            code = next((name for name in codes if getattr(pb_utils.TritonError, name) == error.code()), "another")
            return f"{code}: {error.message()}"
        return str(pb_utils.get_output_tensor_by_name(response, "OUTPUT0").as_numpy().tolist())

    def execute(self, requests: list[Any]) -> list[Any]:
        return [self._answer(request) for request in requests]

    def _failed(self, verb: str, rest: str) -> Any:
        if verb == "plain-error":
            return pb_utils.InferenceResponse(output_tensors=[], error=pb_utils.TritonError(rest))
        code, _, text = rest.partition(" ")
        return pb_utils.InferenceResponse(error=pb_utils.TritonError(text, getattr(pb_utils.TritonError, code)))

    def _answer(self, request: Any) -> Any:
        words = pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy()
        verb, _, rest = bytes(words.reshape(-1)[0]).decode().partition(" ") if words.size else ("echo", "", "")
        if verb == "raise":
            raise ValueError(rest)
        if verb in ("error", "plain-error"):
            return self._failed(verb, rest)
        if verb == "slow":
            time.sleep(float(rest))
        answer = words
        if verb == "call":
            answer = np.array([self._called(rest)], object).reshape(words.shape)
        if verb == "parameters":
            answer = np.array([json.dumps(json.loads(request.parameters()), sort_keys=True)], object).reshape(
                words.shape
            )
        elif verb == "request":
            told = [
                request.request_id(),
                str(request.correlation_id()),
                ",".join(sorted(request.requested_output_names())),
            ]
            answer = np.array([" ".join(told)], object).reshape(words.shape)
        elif verb == "arguments":
            answer = np.array([json.dumps(self._told, sort_keys=True)], object).reshape(words.shape)
        elif verb == "nothing":
            return pb_utils.InferenceResponse(output_tensors=[])
        elif verb == "misnamed":
            return pb_utils.InferenceResponse(output_tensors=[pb_utils.Tensor("OTHER", words)])
        return pb_utils.InferenceResponse(output_tensors=[pb_utils.Tensor("OUTPUT0", answer)])
