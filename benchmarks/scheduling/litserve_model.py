"""LitServe's side, run by the Python that has it: `litserve_model.py PORT MODEL THREADS BATCH TIMEOUT`.

The same ONNX file by the same ONNX Runtime with as many threads. LitServe joins the requests that wait, in order of
arrival; a batch is padded to its longest sentence, as its documentation's text examples do.
"""

import sys

import litserve
import numpy as np
import onnxruntime


class Classifier(litserve.LitAPI):  # type: ignore[misc]  # it has no types
    """Classifies sentences."""

    def setup(self, device: str) -> None:
        """Load the session."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(sys.argv[3])
        self._session = onnxruntime.InferenceSession(sys.argv[2], options, providers=["CPUExecutionProvider"])

    def decode_request(self, request: dict[str, list[int]], **_: object) -> list[int]:
        """Take the ids out."""
        return request["input_ids"]

    def batch(self, inputs: list[list[int]]) -> dict[str, np.ndarray]:
        """Pad to the longest."""
        ids = np.zeros((len(inputs), max(map(len, inputs))), np.int64)
        mask = np.zeros_like(ids)
        for row, sentence in enumerate(inputs):
            ids[row, : len(sentence)] = sentence
            mask[row, : len(sentence)] = 1
        return {"input_ids": ids, "attention_mask": mask}

    def predict(self, x: dict[str, np.ndarray], **_: object) -> np.ndarray:
        """Run the model."""
        logits: np.ndarray = self._session.run(["logits"], x)[0]
        return logits

    def unbatch(self, output: np.ndarray) -> list[list[float]]:
        """Give each its row."""
        rows: list[list[float]] = output.tolist()
        return rows

    def encode_response(self, output: list[float], **_: object) -> dict[str, list[float]]:
        """Wrap it."""
        return {"logits": output}


if __name__ == "__main__":
    api = Classifier(max_batch_size=int(sys.argv[4]), batch_timeout=float(sys.argv[5]))
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    options = {"access_log": False, "loop": "uvloop", "http": "httptools", "log_level": "warning"}
    server.run(host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=1, generate_client_file=False, **options)
