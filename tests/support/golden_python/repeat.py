"""A decoupled model: its input says how many answers it gives; below zero it gives that many and then an error."""

from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests: list[Any]) -> None:
        for request in requests:
            self._answer(request)

    def _answer(self, request: Any) -> None:
        times = int(pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy().reshape(-1)[0])
        if times > 100:
            raise ValueError(f"{times} is too often")
        sender = request.get_response_sender()
        for index in range(abs(times)):
            output = pb_utils.Tensor("OUTPUT0", np.array([index], np.int32))
            sender.send(pb_utils.InferenceResponse(output_tensors=[output]))
        if times < 0:
            sender.send(pb_utils.InferenceResponse(error=pb_utils.TritonError("below zero")))
        sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
