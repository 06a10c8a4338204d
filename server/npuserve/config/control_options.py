"""How models come and go while the server runs."""

from dataclasses import dataclass

from npuserve.config.require import require

CONTROL_MODES = ("none", "explicit", "poll")
ALL_MODELS = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlOptions:
    """Model control, with Triton's names and defaults. Raises ValueError, naming the flag and what it may be.

    mode: `none` loads everything at start; `explicit` loads `load_models`, and then what clients ask for; `poll` loads
    everything and follows the repositories.
    load_models: names, or `*` alone for all; for mode explicit only.
    poll_secs: seconds between two looks at the repositories in mode poll.
    load_retry_count: how often a version that failed to load is tried again.
    config_name: `configs/NAME.pbtxt` goes before `config.pbtxt` in each model's folder; "" for none.
    """

    mode: str = "none"
    load_models: tuple[str, ...] = ()
    poll_secs: float = 15.0
    load_retry_count: int = 0
    config_name: str = ""

    def __post_init__(self) -> None:
        require(
            self.mode in CONTROL_MODES,
            f"--model-control-mode must be one of {', '.join(CONTROL_MODES)}, got '{self.mode}'",
        )
        require(
            self.mode == "explicit" or not self.load_models,
            "--load-model can only be given with --model-control-mode=explicit",
        )
        require(
            ALL_MODELS not in self.load_models or len(self.load_models) == 1,
            "--load-model=* loads all models: it must be the only --load-model",
        )
        require(all(self.load_models), "--load-model must name a model")
        require(self.poll_secs > 0, f"--repository-poll-secs must be more than 0 seconds, got {self.poll_secs}")
        require(self.load_retry_count >= 0, f"--model-load-retry-count must be 0 or more, got {self.load_retry_count}")
        require("/" not in self.config_name, f"--model-config-name must be a file's name, got '{self.config_name}'")
