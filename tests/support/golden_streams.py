"""Streams and sequences: order, errors in messages, decoupled answers, final flags, strict mode."""

from typing import Any

from support.golden_calls import NamedCalls, Stream, floats, infer, infer_request, integers, text

FINAL = {"triton_enable_empty_final_response": True}
STRICT = (("triton_grpc_error", "true"),)


def _three(id: str = "", model: str = "copy_FP32", **options: Any) -> Any:
    return infer_request(model, floats("INPUT0", (1, 3), 1, 2, 3), id=id, **options)


def _told(words: str, id: str = "") -> Any:
    return infer_request("actor", text(words), id=id)


def _repeat(times: int, id: str = "", **options: Any) -> Any:
    return infer_request("repeat", integers("INPUT0", (1,), times), id=id, **options)


def streams() -> NamedCalls:
    for name, requests in {
        "nothing sent": (),
        "one request": (_three("a"),),
        "one request with the opt-in": (_three("a", parameters=FINAL),),
        "three models": (_three("1"), _told("echo", "2"), _three("3", "copy_FP32")),
        "a slow first request": (_told("slow 0.2", "slow"), _three("quick")),
        "an unknown model": (_three("1", "nope"),),
        "an error between answers": (_three("1"), _three("2", "nope"), _three("3")),
        "an error behind a slow request": (_told("slow 0.2", "slow"), _three("2", "nope")),
        "an unknown version": (_three("v", version="9"),),
        "an unknown output": (_three("o", outputs=["NOPE"]),),
        "a wrong shape": (infer_request("copy_FP32", floats("INPUT0", (1, 2), 1, 2), id="s"), _three("after")),
        "a request without an id": (infer_request("copy_FP32", floats("INPUT0", (1, 2), 1, 2)),),
        "the model raises": (_told("raise the roof", "r"), _three("after")),
        "the model's error": (_told("error NOT_FOUND away", "n"), _three("after")),
        "a reserved parameter": (_three("p", parameters={"triton_secret": 1}),),
        "an ensemble": (_ensemble(),),
    }.items():
        yield f"stream: {name}", Stream(requests=requests)
    for name, requests in {
        "0 answers": (_repeat(0, "z"),),
        "0 answers with the opt-in": (_repeat(0, "z", parameters=FINAL),),
        "1 answer": (_repeat(1, "one"),),
        "3 answers": (_repeat(3, "three"),),
        "3 answers with the opt-in": (_repeat(3, "three", parameters=FINAL),),
        "an error after 2": (_repeat(-2, "below"),),
        "an error after 2 with the opt-in": (_repeat(-2, "below", parameters=FINAL),),
        "a wrong shape": (infer_request("repeat", integers("INPUT0", (2,), 1, 2), id="s"),),
        "the model raises": (_repeat(101, "much"),),
        "classes of each answer": (_repeat(2, "c", outputs=[("OUTPUT0", {"classification": 1})]),),
    }.items():
        yield f"decoupled: {name}", Stream(requests=requests)
    for name, requests in {
        "an answer": (_three("1"),),
        "an unknown model": (_three("1", "nope"), _three("2")),
        "a wrong shape": (infer_request("copy_FP32", floats("INPUT0", (1, 2), 1, 2), id="s"), _three("after")),
        "the model's error": (_told("error NOT_FOUND away", "n"),),
        "a decoupled error": (_repeat(-1, "below"),),
    }.items():
        yield f"strict stream: {name}", Stream(requests=requests, metadata=STRICT)
    yield "strict mode off", Stream(requests=(_told("error NOT_FOUND away", "n"),), metadata=((STRICT[0][0], "false"),))


def _ensemble() -> Any:
    pair = (integers(name, (1, 16), *range(16)) for name in ("LEFT", "RIGHT"))
    return infer_request("ensemble", *pair, id="e")


def _step(model: str, value: int, sequence: Any, start: bool = False, end: bool = False, **options: Any) -> Any:
    parameters = {"sequence_id": sequence, "sequence_start": start, "sequence_end": end}
    return infer(model, integers("INPUT0", (1, 1), value), parameters=parameters, **options)


def sequences() -> NamedCalls:
    for model, first, second in (("accumulate", 7, 9), ("accumulate_oldest", 17, 19)):

        def step(*arguments: Any, model: str = model, **options: Any) -> Any:
            return _step(model, *arguments, **options)

        yield f"{model}: start", step(1, first, start=True, id="s")
        yield f"{model}: middle", step(2, first)
        yield f"{model}: another starts", step(10, second, start=True)
        yield f"{model}: the first goes on", step(3, first)
        yield f"{model}: end", step(4, first, end=True)
        yield f"{model}: after the end", step(5, first)
        yield f"{model}: start again", step(6, first, start=True)
        yield f"{model}: start while active", step(100, first, start=True)
        yield f"{model}: goes on after that", step(1, first, end=True)
        yield f"{model}: another ends", step(1, second, end=True)
        yield f"{model}: start and end at once", step(8, first, start=True, end=True)
        yield f"{model}: never started", step(1, 77)
        yield f"{model}: no id", infer(model, integers("INPUT0", (1, 1), 1), id="q")
        yield f"{model}: id 0", step(1, 0, start=True)
        yield f"{model}: empty id", step(1, "", start=True)
        yield (
            f"{model}: two rows",
            infer(model, integers("INPUT0", (2, 1), 1, 2), parameters={"sequence_id": first, "sequence_start": True}),
        )
    for name, sequence, options in (
        *(("the first starts", 1, {"start": True}), ("the second starts", 2, {"start": True})),
        *(("the second goes on", 2, {}), ("the first goes on", 1, {}), ("the first ends", 1, {"end": True})),
        ("the second ends", 2, {"end": True}),
    ):
        yield f"seated: {name}", _step("seated", 1, sequence, **options)
    yield "text id where numbers are wanted", _step("accumulate", 1, "text", start=True)
    requests = tuple(
        _step("accumulate", value, 21, start=value == 0, end=value == 3, id=str(value)).request for value in range(4)
    )
    yield "a sequence on a stream", Stream(requests=requests)
