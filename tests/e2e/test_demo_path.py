"""What a client of the served models gets, against what PyTorch computes on the same real sentences."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest
import tritonclient.grpc.aio as triton
from tritonclient.utils import InferenceServerException

CLIENTS = 64
# The tagger has logits for every token, the classifier three a sentence: it needs more sentences to count agreement.
SENTENCES = {"sentiment": 640, "ner": 320}
MAX_ROWS = 6

if TYPE_CHECKING:
    from tokens import Encoded

Logits = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Answered:
    """One row of one answer: which sentence was asked, and its logits without the padding's."""

    sentence: int
    logits: Logits


@dataclass(frozen=True)
class Task:
    """A model, tokenized held-out sentences, and PyTorch's logits of each."""

    model: str
    sentences: list["Encoded"]
    expected: list[Logits]


def pytorch_logits(model: str, sentences: Sequence["Encoded"], work: Path) -> list[Logits]:
    """Each sentence's own logits. Only sentences of one length share a batch, so nothing is padded or masked."""
    import torch
    from export import load_model
    from tokens import padded

    network = load_model(model, work)
    results: list[Logits] = [np.empty(0, np.float32)] * len(sentences)
    by_length: dict[int, list[int]] = {}
    for index, sentence in enumerate(sentences):
        by_length.setdefault(len(sentence), []).append(index)
    with torch.no_grad():
        for indices in by_length.values():
            ids, mask = padded([sentences[index] for index in indices])
            logits = network(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
            for row, index in enumerate(indices):
                results[index] = logits[row]
    return results


@pytest.fixture(scope="session")
def tasks(work: Path, encoder: Path) -> dict[str, Task]:
    from corpora import ner_corpus, sentiment_corpus
    from tokens import TextEncoder

    tokens = TextEncoder(encoder)
    sentences = {
        "sentiment": [tokens.sentence(s.text) for s in sentiment_corpus().held_out[: SENTENCES["sentiment"]]],
        "ner": [tokens.words(s.words) for s in ner_corpus().held_out[: SENTENCES["ner"]]],
    }
    return {name: Task(name, asked, pytorch_logits(name, asked, work)) for name, asked in sentences.items()}


@pytest.fixture(params=["sentiment", "ner"])
def task(request: pytest.FixtureRequest, tasks: dict[str, Task]) -> Task:
    return tasks[request.param]


def shares_of_work(count: int) -> list[list[list[int]]]:
    """For each client its requests, for each request its rows: every sentence once, 1 to 6 rows a request."""
    shuffle = random.Random(5)
    order = shuffle.sample(range(count), count)
    requests = []
    while order:
        rows = min(shuffle.randint(1, MAX_ROWS), len(order))
        requests.append([order.pop() for _ in range(rows)])
    return [requests[client::CLIENTS] for client in range(CLIENTS)]


async def ask(url: str, task: Task, client: int, requests: list[list[int]], start: asyncio.Barrier) -> list[Answered]:
    """One client's whole talk, over its own connection."""
    from client import request_inputs

    answered = []
    async with triton.InferenceServerClient(url) as connection:
        await start.wait()
        for number, rows in enumerate(requests):
            inputs = request_inputs([task.sentences[index] for index in rows])
            result = await connection.infer(task.model, inputs, request_id=f"{client}-{number}", client_timeout=120)
            assert result.get_response().id == f"{client}-{number}"
            logits = result.as_numpy("logits")
            longest = max(len(task.sentences[index]) for index in rows)
            shape = (len(rows), longest, 21) if task.model == "ner" else (len(rows), 3)
            assert logits.shape == shape
            for row, index in enumerate(rows):
                own = logits[row, : len(task.sentences[index])] if task.model == "ner" else logits[row]
                answered.append(Answered(index, own))
    return answered


async def ask_all(url: str, task: Task) -> tuple[list[Answered], int]:
    """Every sentence once, by 64 clients at the same time; also how many executions the server took for it."""
    start = asyncio.Barrier(CLIENTS)
    talks = [ask(url, task, i, share, start) for i, share in enumerate(shares_of_work(len(task.sentences)))]
    async with triton.InferenceServerClient(url) as connection:
        before = (await connection.get_inference_statistics(task.model)).model_stats[0]
        answers = [answer for talk in await asyncio.gather(*talks) for answer in talk]
        after = (await connection.get_inference_statistics(task.model)).model_stats[0]
    assert after.inference_count - before.inference_count == len(answers)
    return answers, after.execution_count - before.execution_count


def cosine(a: Logits, b: Logits) -> float:
    x, y = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    return float(x @ y / (np.linalg.norm(x) * np.linalg.norm(y)))


async def test_each_of_64_clients_gets_pytorchs_answers_to_its_own_sentences(
    server_url: str, precision: str, task: Task
) -> None:
    answers, executions = await ask_all(server_url, task)
    # How many share an execution is the clients' timing; none takes two.
    assert 0 < executions <= sum(len(share) for share in shares_of_work(len(task.sentences)))
    assert sorted(answer.sentence for answer in answers) == list(range(len(task.sentences)))
    errors = [float(np.abs(answer.logits - task.expected[answer.sentence]).max()) for answer in answers]
    if precision == "must_keep_origin_dtype":
        assert max(errors) < 1e-4
        return
    assert max(errors) < 1e-2
    assert min(cosine(answer.logits, task.expected[answer.sentence]) for answer in answers) > 0.999
    agree = [a.logits.argmax(-1) == task.expected[a.sentence].argmax(-1) for a in answers]
    assert np.concatenate([np.atleast_1d(same) for same in agree]).mean() >= 0.995


def test_the_bound_is_tight_enough_to_tell_one_sentence_from_another(tasks: dict[str, Task]) -> None:
    """Or a swapped row would pass for float32 noise: no two different sentences' logits lie within the bound."""
    task = tasks["sentiment"]
    logits = np.stack(task.expected)
    apart = np.abs(logits[:, None] - logits[None]).max(-1)
    close = [(a, b) for a, b in np.argwhere(apart < 2e-4) if task.sentences[a].ids != task.sentences[b].ids]
    assert len(close) == 0


async def test_a_sentence_longer_than_every_gear_is_refused_and_the_next_is_answered(
    server_url: str, tasks: dict[str, Task]
) -> None:
    from client import request_inputs
    from tokens import Encoded

    async with triton.InferenceServerClient(server_url) as connection:
        with pytest.raises(InferenceServerException) as refused:
            await connection.infer("sentiment", request_inputs([Encoded((101,) * 65)]))
        assert refused.value.status() == "StatusCode.INVALID_ARGUMENT"
        await connection.infer("sentiment", request_inputs(tasks["sentiment"].sentences[:1]))
