"""The parity suite's sessions: a repository, a server's flags, and the families of calls that are made in order."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import grpc
from support.golden_access import FLAGS, access
from support.golden_calls import Answer, Asked, NamedCalls, Target
from support.golden_control import broken, cache, explicit, poll
from support.golden_heads import heads
from support.golden_http import http, http_refusals
from support.golden_inference import inference
from support.golden_models import BROKEN, CACHED, CONTROLLED, POLLED, RESTRICTED, SERVED, GoldenModel
from support.golden_normal import normal
from support.golden_reading import config, health, metadata, metrics, settings, statistics
from support.golden_refusals import refusals
from support.golden_regions import REPLACED, shared_memory
from support.golden_streams import sequences, streams

Family = Callable[[], NamedCalls]


@dataclass(frozen=True, kw_only=True)
class Session:
    """One server's life. `families` are made anew for each server, a key of golden_models.COPYING."""

    models: tuple[GoldenModel, ...]
    flags: tuple[str, ...]
    families: Callable[[str], Mapping[str, Family]]


_NO_EXIT = "--exit-on-error=false"
SESSIONS = {
    "serving": Session(
        models=SERVED,
        flags=(),
        families=lambda server: {
            **{"health": health, "metadata": metadata, "config": config, "statistics": statistics},
            **{"metrics": metrics, "infer": inference, "errors": refusals, "streaming": streams},
            **{"sequences": sequences, "shared_memory": shared_memory, "http": http, "http_errors": http_refusals},
            **{"http_heads": heads, "settings": settings},
        },
    ),
    "explicit": Session(
        models=CONTROLLED,
        flags=("--model-control-mode=explicit", "--load-model=first"),
        families=lambda server: {"control": partial(explicit, server)},
    ),
    "broken": Session(models=BROKEN, flags=(_NO_EXIT,), families=lambda server: {"index": broken}),
    "poll": Session(
        models=POLLED,
        flags=("--model-control-mode=poll", "--repository-poll-secs=1"),
        families=lambda server: {"poll": poll},
    ),
    "restricted": Session(models=RESTRICTED, flags=FLAGS, families=lambda server: {"access": access}),
    "cached": Session(
        models=CACHED, flags=("--cache-config=local,size=1048576",), families=lambda server: {"cache": cache}
    ),
}


def family_names(session: str) -> list[str]:
    """The families of a session, in order."""
    return list(SESSIONS[session].families("triton"))


def call_names(session: str, family: str) -> list[str]:
    """The names of a family's calls, in order. Raises ValueError if one is there twice."""
    names = [name for name, _ in SESSIONS[session].families("triton")[family]()]
    if len(set(names)) != len(names):
        raise ValueError(f"family {family}: {sorted({name for name in names if names.count(name) > 1})} twice")
    return names


def run_session(
    session: str, server: str, target: Target, wanted: Callable[[str, str], bool], after: Callable[[str], None]
) -> dict[str, dict[str, Answer]]:
    """Make all calls of a session and return the normal answers, by family and name.

    wanted: whether a call of a family is to be made. after: hears of each that was made.
    """
    answers: dict[str, dict[str, Answer]] = {}
    with grpc.insecure_channel(target.grpc_url) as channel:
        asked = Asked(target, channel)
        for family, calls in SESSIONS[session].families(server).items():
            answers[family] = {}
            for name, call in calls():
                if not wanted(family, name):
                    continue
                answers[family][name] = normal(call.answer(asked), target.repository, REPLACED)
                after(name)
    return answers
