"""OUTPUT0 = INPUT0 + INPUT1, which counts as 100 where it is not given."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests: list[object]) -> list[object]:
        return [self._answer(request) for request in requests]

    def _answer(self, request: object) -> object:
        first = pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy()
        second = pb_utils.get_input_tensor_by_name(request, "INPUT1")
        total = first + (np.int32(100) if second is None else second.as_numpy())
        return pb_utils.InferenceResponse(output_tensors=[pb_utils.Tensor("OUTPUT0", total)])
