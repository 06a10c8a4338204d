from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.rest import Rest, add_copy_model, loaded_registry, tensor_config

DTYPES = ("INT8", "INT32", "INT64", "UINT8", "UINT64", "FP16", "FP32", "FP64", "BF16", "BOOL", "STRING")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    for dtype in DTYPES:
        tensors = tensor_config("input", "IN", dtype, -1) + tensor_config("output", "OUT", dtype, -1)
        add_copy_model(folder, f"id_{dtype}", f"max_batch_size: 4\n{tensors}")
    pair = "".join(
        tensor_config("input", f"INPUT{place}", "INT32", 4) + tensor_config("output", f"OUTPUT{place}", "INT32", 4)
        for place in range(2)
    )
    add_copy_model(folder, "two", f'max_batch_size: 8\nmetric_tags {{ key: "x" value: "y" }}\n{pair}')
    one = tensor_config("input", "IN", "STRING", 1) + tensor_config("output", "OUT", "STRING", 1)
    add_copy_model(folder, "text", one)
    optional = "optional: true"
    tensors = tensor_config("input", "TEXT", "STRING", 1) + tensor_config("output", "TEXT_OUT", "STRING", -1)
    tensors += tensor_config("input", "N", "INT32", 1, rest=optional) + tensor_config("output", "N_OUT", "INT32", 1)
    tensors += tensor_config("input", "L", "FP32", 2, -1, rest=optional) + tensor_config("output", "V", "FP32", -1, -1)
    add_copy_model(folder, "gen", f"model_transaction_policy {{ decoupled: true }}\n{tensors}")
    return folder


@pytest.fixture
async def rest(repository: Path) -> AsyncIterator[Rest]:
    async with loaded_registry(repository) as registry:
        yield Rest(registry)
