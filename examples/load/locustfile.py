"""Locust against a model of tokens over HTTP, with binary tensors of true lengths.

    pip install locust
    MODEL=tokens locust -f locustfile.py --headless -H http://localhost:8000 -u 16 -r 16 -t 30s

LENGTHS is a file with one length a line, as `npuserve plan` takes. A Python client makes about two thousand requests a
second on a core: more than that is Locust's own limit, not the server's; `npuserve bench` goes further.
"""

import json
import os
import random
from array import array
from pathlib import Path

from locust import FastHttpUser, constant, task

MODEL = os.environ.get("MODEL", "tokens")
LENGTHS = [int(line) for line in Path(os.environ["LENGTHS"]).read_text().split()] if "LENGTHS" in os.environ else [16]
INPUTS = os.environ.get("INPUTS", "input_ids,attention_mask").split(",")
DATATYPE, ELEMENT = ("INT32", "i") if os.environ.get("DATATYPE") == "INT32" else ("INT64", "q")


def request(length: int) -> tuple[dict[str, str], bytes]:
    """Return the head and the body of one row of ones."""
    content = array(ELEMENT, [1] * length).tobytes()
    inputs = [
        {
            "name": name,
            "shape": [1, length],
            "datatype": DATATYPE,
            "parameters": {"binary_data_size": len(content)},
        }
        for name in INPUTS
    ]
    text = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
    head = {"Inference-Header-Content-Length": str(len(text)), "Content-Type": "application/octet-stream"}
    return head, text + content * len(inputs)


class Client(FastHttpUser):  # type: ignore[misc]  # locust need not be there to check this
    """One user: the next request goes when the answer has come."""

    wait_time = constant(0)
    requests = tuple(request(length) for length in LENGTHS)

    @task  # type: ignore[untyped-decorator]  # as above
    def infer(self) -> None:
        """Send one row."""
        head, body = random.choice(self.requests)
        path = f"/v2/models/{MODEL}/infer"
        with self.client.post(path, data=body, headers=head, catch_response=True) as answer:
            if answer.status_code != 200:
                answer.failure(f"{answer.status_code}: {answer.text}")
