from collections.abc import Callable, Sequence

import numpy as np
from npuserve.migrate.chain.tensors import Tensors
from npuserve.migrate.serve.client import Client
from npuserve.migrate.serve.smoke import smoke_test


class Scripted(Client):
    """A service whose answers a function makes; `together` are those to requests that share an execution."""

    def __init__(
        self, alone: Callable[[Tensors], Tensors], together: Callable[[Tensors], Tensors] | None = None
    ) -> None:
        self.alone, self.together = alone, together or alone
        self.requests: list[Tensors] = []
        self.rows = self.executions = 0

    def infer(self, model: str, inputs: Tensors) -> Tensors:
        self.requests.append(inputs)
        return self.alone(inputs)

    def infer_all(self, model: str, samples: Sequence[Tensors], at_once: int) -> list[Tensors]:
        self.rows += len(samples)
        self.executions += 2
        return [self.together(sample) for sample in samples]

    def counts(self, model: str) -> tuple[int, int]:
        return self.rows, self.executions


def double(inputs: Tensors) -> Tensors:
    return {"y": inputs["x"] * 2.0}


def samples(*lengths: int) -> list[Tensors]:
    return [{"x": np.full((1, length), number + 1)} for number, length in enumerate(lengths)]


def test_a_right_service_agrees_everywhere() -> None:
    asked = samples(3, 3, 5)
    client = Scripted(double)
    report = smoke_test(client, "m", asked, [double(each) for each in asked], max_batch=4)
    assert [row["max_abs"] for row in report.table()] == [0] * len(report.table())
    # Alone; stacked by length, what has no fellow with itself.
    assert sorted(request["x"].shape for request in client.requests[4:]) == [(2, 3), (2, 5)]
    assert report.rows_an_execution == 1.5


def test_stacked_rows_stay_within_the_largest_batch() -> None:
    asked = samples(3, 3, 3, 3, 3)
    client = Scripted(double)
    smoke_test(client, "m", asked, [double(each) for each in asked], max_batch=2)
    assert [len(request["x"]) for request in client.requests[6:]] == [2, 2, 2]


def test_a_service_that_mixes_up_rows_is_found_out() -> None:
    asked = samples(3, 3)
    client = Scripted(lambda inputs: {"y": inputs["x"][::-1] * 2.0})
    report = smoke_test(client, "m", asked, [double(each) for each in asked], max_batch=2)
    assert report.singles.agreement.max_abs == 0
    assert report.worst_batched.max_abs == 2


def test_a_service_that_answers_otherwise_under_load_is_found_out() -> None:
    asked = samples(3, 5)
    client = Scripted(double, together=lambda inputs: {"y": inputs["x"] * 2.0 + 1})
    report = smoke_test(client, "m", asked, [double(each) for each in asked], max_batch=2)
    assert report.worst_batched.max_abs == 1


def test_a_model_without_batches_is_sent_none() -> None:
    asked = samples(3, 3)
    client = Scripted(double)
    smoke_test(client, "m", asked, [double(each) for each in asked], max_batch=0)
    assert {len(request["x"]) for request in client.requests} == {1}
