"""Who runs when and where: models that share devices, and the threads of their instances on the host."""

import logging

from npuserve import _engine
from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.config.batching import DEVICE_WEIGHT, BatchingOptions
from npuserve.config.placement import InstancePlacement
from npuserve.config.sharing import HostPolicy, SharingOptions

_log = logging.getLogger(__name__)
_CPU = -1
_ANYWHERE = HostPolicy()


class DeviceSharing:
    """What the native models of a server share; one object for all of them.

    options: None shares devices evenly, limits nothing and places threads nowhere.
    """

    def __init__(self, options: SharingOptions | None = None) -> None:
        self._options = options or SharingOptions()
        self._turns = _engine.Turns([(pool.name, pool.count, pool.device) for pool in self._options.pools])

    def apply(
        self, native: _engine.ModelOptions, config: ModelConfig, batching: BatchingOptions, *, on_cpu: bool = False
    ) -> None:
        """Have a model take turns with the others.

        on_cpu: whether it runs there: such models share it by their weights only if they have one.
        """
        needs = [
            [(need.name, need.count, need.is_global) for need in instance.resources]
            if self._options.limits_rate
            else []
            for instance in batching.instances
        ]
        has_turns = not on_cpu or DEVICE_WEIGHT in config.parameters
        if has_turns or any(needs):
            native.share(
                self._turns,
                devices=[_CPU] * len(batching.instances) if on_cpu else list(batching.devices),
                has_turns=has_turns,
                weight=batching.device_weight,
                needs=needs,
                priorities=[instance.priority for instance in batching.instances],
            )

    def place(self, native: _engine.ModelOptions, config: ModelConfig, batching: BatchingOptions) -> None:
        """Have the threads of a model's instances run where their host policies say."""
        policies = [self._policy(config, instance) for instance in batching.instances]
        if any(policy != _ANYWHERE for policy in policies):
            native.place([(list(policy.cores), policy.numa_node) for policy in policies])

    def _policy(self, config: ModelConfig, instance: InstancePlacement) -> HostPolicy:
        known = self._options.host_policies
        if instance.host_policy and instance.host_policy not in known:
            _log.warning(
                "model '%s': host_policy '%s' has no effect: --host-policy does not set it",
                *(config.name, instance.host_policy),
            )
        # As Triton names the policies that are meant where none is.
        return known.get(instance.host_policy or f"gpu_{instance.device}", _ANYWHERE)
