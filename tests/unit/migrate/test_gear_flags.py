"""The flags, and that the compiler takes what they say."""

from pathlib import Path

import onnx
import pytest
from npuserve.migrate.gear_flags import atc_flags, gears_parameter
from npuserve.migrate.options import PlanOptions
from npuserve.migrate.planning import plan
from npuserve.migrate.sample import counted
from support.emulator import run_atc
from support.models import tokens


def test_every_pair_is_a_gear_with_a_value_for_each_axis_of_each_input() -> None:
    assert atc_flags(("ids", "mask"), (1, 4), (16, 32)) == (
        "--input_format=ND",
        "--input_shape=ids:-1,-1;mask:-1,-1",
        "--dynamic_dims=1,16,1,16;1,32,1,32;4,16,4,16;4,32,4,32",
    )


def test_one_gear_alone_is_a_fixed_shape() -> None:
    assert atc_flags(("ids", "mask"), (8,), (16,)) == ("--input_format=ND", "--input_shape=ids:8,16;mask:8,16")


def test_an_onnx_models_config_has_batches_by_lengths() -> None:
    assert gears_parameter((1, 2, 4), (16, 32)) == "1,2,4 x 16,32"


@pytest.mark.parametrize(
    "options",
    [
        PlanOptions(max_batch=1, align=1),
        PlanOptions(max_batch=1, max_gears=1),
        PlanOptions(max_batch=4, max_length=40),
        PlanOptions(max_batch=1, align=1, max_gears=100, max_length=150),
    ],
)
def test_the_compiler_takes_the_first_and_the_last_proposal(options: PlanOptions, tmp_path: Path) -> None:
    onnx.save(tokens(), str(tmp_path / "tokens.onnx"))
    rows = range(1, 150) if options.max_length == 150 else range(1, 20)
    proposals = plan(counted(rows), options).proposals
    for proposal in (proposals[0], proposals[-1]):
        done = run_atc(
            f"--model={tmp_path / 'tokens.onnx'}",
            f"--output={tmp_path / 'tokens'}",
            *("--framework=5", "--soc_version=Ascend910B3"),
            *atc_flags(options.inputs, proposal.batches, proposal.lengths),
        )
        assert done.returncode == 0, done.stdout
