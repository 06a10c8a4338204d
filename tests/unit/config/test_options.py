from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest
from npuserve.config.options import ServerOptions


def test_the_defaults_are_tritons(tmp_path: Path) -> None:
    options = ServerOptions(model_repositories=(tmp_path,))
    assert (options.exit_timeout_secs, options.exit_on_error, options.strict_readiness) == (30, True, True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_repositories": ()}, "--model-repository must be given at least once"),
        ({"model_repositories": (Path("/nowhere"),)}, "--model-repository must be a folder, got '/nowhere'"),
        ({"server_id": ""}, "--id must not be empty"),
        ({"exit_timeout_secs": -0.5}, "--exit-timeout-secs must be 0 or more seconds, got -0.5"),
        ({"model_load_concurrency": 0}, "--model-load-thread-count must be 1 or more, got 0"),
        ({"log_verbose": -1}, "--log-verbose must be 0 or more, got -1"),
        ({"log_format": "yaml"}, "--log-format must be one of default, ISO8601, json, got 'yaml'"),
        ({"acl_candidates": ((),)}, "each AscendCL library candidate must name at least one file"),
    ],
)
def test_a_wrong_option_is_refused_by_name_and_range(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        ServerOptions(**({"model_repositories": (tmp_path,)} | changes))
    assert str(caught.value) == message


def test_options_do_not_change(tmp_path: Path) -> None:
    options = ServerOptions(model_repositories=(tmp_path,))
    with pytest.raises(FrozenInstanceError):
        options.log_verbose = 1  # type: ignore[misc]
