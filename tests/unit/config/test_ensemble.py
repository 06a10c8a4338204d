import pytest
from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.config.ensemble import decoupled_origins, validate_ensemble, validate_steps
from npuserve.config.validate import validate_model_config
from npuserve.core.errors import ServeError
from npuserve.core.status import StatusCode
from support.ensembles import Wiring, ensemble, model, parse

ONE: list[Wiring] = [("copy", {"IN": "I"}, {"OUT": "O"})]
CHAIN: list[Wiring] = [("copy", {"IN": "I"}, {"OUT": "T"}), ("copy", {"IN": "T"}, {"OUT": "O"})]
DECOUPLED = "model_transaction_policy { decoupled: true }"


def refusal(text: str) -> str:
    with pytest.raises(ServeError) as caught:
        validate_model_config(parse(text))
    assert caught.value.status is StatusCode.INVALID_ARGUMENT
    return caught.value.message


@pytest.mark.parametrize(
    "steps",
    [
        ONE,
        CHAIN,
        list(reversed(CHAIN)),
        [("two", {"A": "I", "B": "I"}, {"X": "O"})],
        [("copy", {"IN": "I"}, {"OUT": "T"}), ("two", {"A": "I", "B": "T"}, {"X": "O"})],
    ],
)
def test_a_wired_ensemble_is_accepted_in_any_order_of_its_steps(steps: list[Wiring]) -> None:
    validate_model_config(parse(ensemble(steps)))


def test_an_input_may_be_an_output_as_well() -> None:
    validate_ensemble(parse(ensemble(ONE, outputs=["O", "I"])))


def test_other_models_are_not_looked_at() -> None:
    validate_ensemble(parse('name: "m" backend: "ascend" optimization { } instance_group { count: 2 }'))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name: "m" platform: "ensemble"', "ensemble scheduling must be set for ensemble m whose platform is ensemble"),
        (
            ensemble(ONE).replace('platform: "ensemble"', 'backend: "python"'),
            "ensemble scheduling cannot be set for model 'm' whose platform is not ensemble",
        ),
        (
            ensemble(ONE) + ' backend: "python"',
            "Ensemble model 'm' must have platform type 'ensemble' and empty backend type",
        ),
        (ensemble(ONE) + " instance_group { }", "instance group should not be specified for ensemble 'm'"),
        (ensemble(ONE) + " optimization { }", "optimization should not be specified for ensemble 'm'"),
        (ensemble(ONE) + " model_warmup { }", "model_warmup can not be specified for ensemble 'm'"),
        (ensemble([]), "must specify 'step' for ensemble 'm'"),
        (ensemble([*ONE, ("", {"IN": "I"}, {"OUT": "T"})]), "must specify 'model_name' in step 1 of ensemble 'm'"),
        (ensemble([("copy", {}, {"OUT": "O"})]), "must specify 'input_map' in step 0 of ensemble 'm'"),
        (ensemble([("copy", {"IN": "I"}, {})]), "must specify 'output_map' in step 0 of ensemble 'm'"),
        (ensemble(ONE, inputs=["I", "X"]), "ensemble input 'X' for ensemble m' is not used"),
        (ensemble(ONE, outputs=["O", "X"]), "ensemble output 'X' for ensemble m' is not used"),
        (
            ensemble([("copy", {"IN": "I"}, {"OUT": "T"}), ("copy", {"IN": "O"}, {"OUT": "U"})]),
            "output 'O' for ensemble 'm' is not written",
        ),
        (
            ensemble([("two", {"A": "I", "B": "D"}, {"X": "O"})]),
            "output 'O' for ensemble 'm' is not written: at least one of its depending tensors, 'D', is not connected",
        ),
        (
            ensemble(
                [
                    ("copy", {"IN": "I"}, {"OUT": "T"}),
                    ("two", {"A": "D", "B": "T"}, {"X": "P"}),
                    ("copy", {"IN": "P"}, {"OUT": "O"}),
                ]
            ),
            "output 'O' for ensemble 'm' is not written: at least one of its depending tensors, 'D', is not connected",
        ),
        (
            ensemble([("two", {"A": "I", "B": "I"}, {"X": "O", "Y": "T"})]),
            "ensemble tensor 'T' is unused in ensemble 'm'",
        ),
        (
            ensemble([*ONE, *ONE]),
            "ensemble tensor 'O' can appear in an output map only once for ensemble 'm' step 1",
        ),
        (
            ensemble([*ONE, ("copy", {"IN": "A"}, {"OUT": "B"}), ("copy", {"IN": "B"}, {"OUT": "A"})]),
            "ensemble tensor 'A' is unused in ensemble 'm'",
        ),
        (
            ensemble([("two", {"A": "I", "B": "T"}, {"X": "O"}), ("copy", {"IN": "O"}, {"OUT": "T"})]),
            "output 'O' for ensemble 'm' is not written",
        ),
        (
            ensemble([*ONE, ("copy", {"IN": "O"}, {"OUT": "I"})]),
            "ensemble input 'I' of ensemble 'm' cannot be in an output map",
        ),
    ],
)
def test_wrong_wiring_is_named(text: str, message: str) -> None:
    assert refusal(text) == message


def step_refusal(text: str, *models: ModelConfig) -> str:
    with pytest.raises(ServeError) as caught:
        validate_steps(parse(text), models)
    assert caught.value.status is StatusCode.INVALID_ARGUMENT
    return caught.value.message


TWO = model("two", inputs=["A", "B"], outputs=["X"])


@pytest.mark.parametrize(
    ("text", "models", "message"),
    [
        (
            ensemble(ONE),
            [model("copy", dtype="INT32")],
            "in ensemble m, ensemble tensor I: inconsistent data type: TYPE_FP32 is inferred from model m while "
            "TYPE_INT32 is inferred from model copy",
        ),
        (
            ensemble(CHAIN).replace('"copy"', '"ints"', 2).replace('"ints"', '"copy"', 1),
            [model("copy"), model("ints", dtype="INT32")],
            "in ensemble m, ensemble tensor T: inconsistent data type: TYPE_FP32 is inferred from model copy while "
            "TYPE_INT32 is inferred from model ints",
        ),
        (
            ensemble(ONE).replace("-1 ]", "16 ]"),
            [model("copy", dims="8")],
            "in ensemble m, ensemble tensor I: inconsistent shape: [-1,16] is inferred from model m while [-1,8] is "
            "inferred from model copy",
        ),
        (
            ensemble([("copy", {"XX": "I"}, {"OUT": "O"})]),
            [model("copy")],
            "in ensemble m, ensemble tensor I is mapping to non-existing input XX in model copy",
        ),
        (
            ensemble([("copy", {"IN": "I"}, {"XX": "O"})]),
            [model("copy")],
            "in ensemble m, ensemble tensor O is mapped from non-existing output XX in model copy",
        ),
        (
            ensemble([("two", {"A": "I"}, {"X": "O"})]),
            [TWO],
            "in ensemble m, input B in model two is not mapped to any ensemble tensors",
        ),
        (
            ensemble(ONE, batch=3),
            [model("copy", batch=2)],
            "ensemble m allows maximum batch size 3, but it contains model copy which only allows maximum batch size "
            "to be 2",
        ),
        (
            ensemble([("d", {"IN": "I"}, {"OUT": "T"}), ("two", {"A": "T", "B": "I"}, {"X": "O"})]),
            [model("d", extra=DECOUPLED), TWO],
            "in ensemble m, step of model 'm' receives inputs originated from different decoupled models",
        ),
        (
            ensemble([("d", {"IN": "I"}, {"OUT": "O"}), ("copy", {"IN": "I"}, {"OUT": "P"})], outputs=["O", "P"]),
            [model("d", extra=DECOUPLED), model("copy")],
            "in ensemble m, step of model 'm' receives inputs originated from different decoupled models",
        ),
    ],
)
def test_a_step_that_does_not_fit_is_named(text: str, models: list[ModelConfig], message: str) -> None:
    assert step_refusal(text, *models) == message


@pytest.mark.parametrize(
    ("text", "models"),
    [
        (ensemble(CHAIN), [model("copy"), model("copy")]),
        (ensemble(ONE), [model("copy", batch=8)]),
        (ensemble(ONE, batch=0), [model("copy", batch=0)]),
        # [-1] of a model that does not batch, [-1] and a batch of the ensemble: equal dims are enough.
        (ensemble(ONE), [model("copy", batch=0)]),
        # [-1,-1] whole, and [-1] with a batch: equal shapes are enough.
        (ensemble(ONE, batch=0).replace("[ -1 ]", "[ -1, -1 ]"), [model("copy")]),
        (ensemble(ONE), [model("copy", dims="8")]),
        (ensemble([("two", {"A": "I"}, {"X": "O"})]), [parse(str(TWO).replace('"B"', '"B" optional: true'))]),
    ],
)
def test_steps_that_fit_are_accepted(text: str, models: list[ModelConfig]) -> None:
    validate_steps(parse(text), models)


def test_what_follows_a_decoupled_step_comes_with_its_responses() -> None:
    config = parse(ensemble([("d", {"IN": "I"}, {"OUT": "T"}), ("copy", {"IN": "T"}, {"OUT": "O"})]))
    assert decoupled_origins(config, [True, False]) == {"I": None, "T": 0, "O": 0}
    assert decoupled_origins(config, [True, True]) == {"I": None, "T": 0, "O": 1}
    assert decoupled_origins(config, [False, False]) == {"I": None, "T": None, "O": None}
