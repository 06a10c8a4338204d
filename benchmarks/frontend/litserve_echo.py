"""LitServe's side, run by the Python that has it: `litserve_echo.py PORT`.

Its best case among those tried: a JSON text of 512 characters in and out, so that no tensor is decoded; an API process
a core, and one worker, as the other peers have one model instance; uvloop and httptools. `fast_queue` (ZeroMQ in place
of a manager's queue) gave no more requests here, for more processor time.
"""

import os
import sys

import litserve


class Echo(litserve.LitAPI):  # type: ignore[misc]  # it has no types
    """Answers with what it was asked."""

    def setup(self, device: str) -> None:
        """There is nothing to load."""

    def decode_request(self, request: dict[str, str], **_: object) -> str:
        """Take the text out."""
        return request["input"]

    def predict(self, x: str, **_: object) -> str:
        """Give it back."""
        return x

    def encode_response(self, output: str, **_: object) -> dict[str, str]:
        """Wrap it."""
        return {"output": output}


if __name__ == "__main__":
    server = litserve.LitServer(Echo(), accelerator="cpu")
    options = {"access_log": False, "loop": "uvloop", "http": "httptools", "log_level": "warning"}
    processes = os.cpu_count() or 1
    server.run(
        host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=processes, generate_client_file=False, **options
    )
