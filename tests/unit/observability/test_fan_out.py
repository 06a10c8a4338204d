from dataclasses import dataclass, field, replace

from npuserve.observability.fan_out import RequestFanOut
from npuserve.observability.requests import FinishedRequest
from support.finished import FINISHED


@dataclass
class Kept:
    wants_all: bool = False
    slow_ns: int = 0
    seen: list[FinishedRequest] = field(default_factory=list)

    def observe(self, request: FinishedRequest) -> None:
        self.seen.append(request)


def test_it_wants_what_any_observer_wants() -> None:
    none, slow, slower, every = Kept(), Kept(slow_ns=100), Kept(slow_ns=200), Kept(wants_all=True)
    assert (RequestFanOut([]).wants_all, RequestFanOut([]).slow_ns) == (False, 0)
    assert RequestFanOut([none, slower, slow]).slow_ns == 100
    assert not RequestFanOut([none, slow]).wants_all
    assert RequestFanOut([slow, every]).wants_all


def test_each_observer_is_told_of_what_it_wants() -> None:
    none, slow, every = Kept(), Kept(slow_ns=500_000), Kept(wants_all=True)
    fan_out = RequestFanOut([none, slow, every])
    late = replace(FINISHED, ended_ns=FINISHED.started_ns + 500_001)
    fan_out.observe(FINISHED)
    fan_out.observe(late)
    assert (none.seen, slow.seen, every.seen) == ([], [late], [FINISHED, late])


def test_what_is_wanted_may_change() -> None:
    observer = Kept()
    fan_out = RequestFanOut([observer])
    observer.wants_all = True
    assert fan_out.wants_all
