"""Puts a response into an HTTP body: JSON in Triton's order of keys, then the outputs that are wanted as raw bytes."""

from npuserve.core.request import InferenceResponse
from npuserve.core.tensor import Tensor, format_shape
from npuserve.service.rest.infer_request import DecodedInfer
from npuserve.service.rest.json_text import to_bytes
from npuserve.service.rest.tensor_json import dump_json, tensor_json


def infer_body(asked: DecodedInfer, response: InferenceResponse) -> tuple[bytes, int]:
    """Return the body and how many bytes of it are JSON.

    Raises ServeError (INVALID_ARGUMENT) if an FP16 or BF16 output is wanted as JSON.
    """
    in_memory = {output.name for output in asked.request.outputs if output.destination is not None}
    outputs: list[str] = []
    behind: list[bytes | memoryview] = []
    for tensor in response.outputs:
        head = f'"name":{dump_json(tensor.name)},"datatype":"{tensor.dtype.value}","shape":{format_shape(tensor.shape)}'
        if tensor.name not in in_memory:
            head += _content(tensor, asked.wants_binary(tensor.name), behind)
        outputs.append("{" + head + "}")
    members = [f'"id":{dump_json(response.id)}'] if response.id else []
    members += [f'"model_name":{dump_json(response.model)}', f'"model_version":"{response.version}"']
    if response.parameters:
        members.append(f'"parameters":{dump_json(dict(response.parameters))}')
    members.append(f'"outputs":[{",".join(outputs)}]')
    document = to_bytes("{" + ",".join(members) + "}")
    return (b"".join((document, *behind)) if behind else document), len(document)


def _content(tensor: Tensor, is_binary: bool, behind: list[bytes | memoryview]) -> str:
    if not is_binary:
        return f',"data":{tensor_json(tensor)}'
    behind.append(tensor.data)
    return f',"parameters":{{"binary_data_size":{len(tensor.data)}}}'
