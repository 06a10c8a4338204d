"""What a model may complete of its config: the object that `auto_complete_config` gets."""

import json
from collections.abc import Mapping
from typing import Any


class ModelConfig:
    """A model's config that a model may add its inputs, outputs, batching and transaction policy to.

    model_config: the config as JSON.
    """

    def __init__(self, model_config: str) -> None:
        self._config: dict[str, Any] = json.loads(model_config)

    def as_dict(self) -> dict[str, Any]:
        """Return the config as it is now."""
        return self._config

    def set_max_batch_size(self, max_batch_size: int) -> None:
        """Set the largest batch. Raises ValueError if the config says a larger one."""
        given = self._config["max_batch_size"]
        if given > max_batch_size:
            raise ValueError(
                f"configuration specified max_batch_size {given}, but in auto-complete-config function for model "
                f"'{self._name}' specified max_batch_size {max_batch_size}"
            )
        self._config["max_batch_size"] = max_batch_size

    def set_dynamic_batching(self) -> None:
        """Ask for dynamic batching. Raises ValueError if the config has another scheduler."""
        for scheduler in ("sequence_batching", "ensemble_scheduling"):
            if scheduler in self._config:
                raise ValueError(
                    f"Configuration specified scheduling_choice as '{scheduler}', but auto-complete-config function "
                    f"for model '{self._name}' tries to set scheduling_choice as 'dynamic_batching'"
                )
        self._config.setdefault("dynamic_batching", {})

    def add_input(self, input: Mapping[str, Any]) -> None:
        """Add an input: `name`, `data_type`, `dims` and maybe `optional`. Raises ValueError."""
        self._add("input", dict(input), ("name", "data_type", "dims", "optional"))

    def add_output(self, output: Mapping[str, Any]) -> None:
        """Add an output: `name`, `data_type` and `dims`. Raises ValueError."""
        self._add("output", dict(output), ("name", "data_type", "dims"))

    def set_model_transaction_policy(self, transaction_policy_dict: Mapping[str, Any]) -> None:
        """Say whether the model is decoupled. Raises ValueError if the config says otherwise."""
        if any(key != "decoupled" for key in transaction_policy_dict):
            raise ValueError(
                f"model transaction property in auto-complete-config function for model '{self._name}' contains "
                "property other than 'decoupled'."
            )
        policy = self._config.setdefault("model_transaction_policy", {})
        if "decoupled" not in transaction_policy_dict:
            return
        wanted = transaction_policy_dict["decoupled"]
        if policy.get("decoupled", wanted) != wanted:
            raise ValueError(
                f"trying to change decoupled property in auto-complete-config for model '{self._name}', which is "
                f"already set to '{policy['decoupled']}'."
            )
        policy["decoupled"] = wanted

    @property
    def _name(self) -> str:
        return str(self._config["name"])

    def _add(self, kind: str, tensor: dict[str, Any], allowed: tuple[str, ...]) -> None:
        self._check_properties(kind, tensor, allowed)
        present = next((each for each in self._config[kind] if each["name"] == tensor["name"]), None)
        if present is None:
            self._config[kind].append(tensor)
            return
        self._check_same(kind, present, tensor)
        present.update(tensor)

    def _check_properties(self, kind: str, tensor: dict[str, Any], allowed: tuple[str, ...]) -> None:
        subject = f"{kind} '{tensor['name']}'" if "name" in tensor else kind
        function = f"in auto-complete-config function for model '{self._name}'"
        if any(key not in allowed for key in tensor):
            names = ", ".join(f"'{key}'" for key in allowed[:-1]) + f" and '{allowed[-1]}'"
            raise ValueError(f"{subject} {function} contains property other than {names}.")
        for key in ("name", "data_type", "dims"):
            if key not in tensor:
                raise ValueError(f"{subject} {function} is missing '{key}' property.")

    def _check_same(self, kind: str, present: dict[str, Any], tensor: dict[str, Any]) -> None:
        name = tensor["name"]
        if present["data_type"] not in ("TYPE_INVALID", tensor["data_type"]):
            raise ValueError(
                f"unable to load model '{self._name}', configuration expects datatype {present['data_type']} for "
                f"{kind} '{name}', model provides {tensor['data_type']}"
            )
        for key in ("dims", "optional"):
            if key in tensor and present.get(key) and present[key] != tensor[key]:
                raise ValueError(
                    f"model '{self._name}', tensor '{name}': the model expects {key} {tensor[key]} but the model "
                    f"configuration specifies {key} {present[key]}"
                )
