"""Which ModelInfer calls need no Python: for each ready version what a native front end must know of it."""

from collections.abc import Callable
from dataclasses import dataclass

from npuserve.core.dtype import Dtype
from npuserve.core.signature import TensorSpec
from npuserve.repository.loading import LoadedModel
from npuserve.repository.registry import ModelRegistry
from npuserve.service.interface import DeclaredTensor, ModelInterface, interface_of

INFER_PATH = "/inference.GRPCInferenceService/ModelInfer"


@dataclass(frozen=True, slots=True, kw_only=True)
class InferRoute:
    """One ready version whose executor takes requests natively.

    asked_versions: the version texts that mean it; "" for requests that name none.
    version: as responses state it.
    input_positions: of each input of the interface, where it stands in the signature, in whose order the sink takes
    them. outputs: in the signature's order, in which the sink gives them.
    One that the config leaves out has no name.
    input_dtypes, output_dtypes: of each of these, the signature's: the other integer type where the model converts.
    sink: the executor's capsule.
    """

    asked_versions: tuple[str, ...]
    version: str
    interface: ModelInterface
    input_positions: tuple[int, ...]
    outputs: tuple[DeclaredTensor, ...]
    input_dtypes: tuple[Dtype, ...]
    output_dtypes: tuple[Dtype, ...]
    sink: object


class InferRoutes:
    """The routes of a registry's models. Used on the event loop only.

    is_open: False if every request must reach the handlers, as where its headers matter: then there are none.
    """

    def __init__(self, registry: ModelRegistry, *, is_open: bool = True) -> None:
        self._registry = registry
        self._is_open = is_open

    def watch(self, watcher: Callable[[], None]) -> None:
        """Call the watcher after every change; it must not raise."""
        self._registry.watch(watcher)

    def current(self) -> list[InferRoute]:
        """Return a route for each ready version that has a sink and that takes and gives as its config says.

        It answers one response a request and needs every input.
        """
        found = []
        for ready in self._registry.ready_models() if self._is_open else ():
            for loaded in ready:
                highest = loaded is ready[-1]
                route = _route(loaded, (str(loaded.version), "") if highest else (str(loaded.version),))
                if route is not None:
                    found.append(route)
        return found


def _route(loaded: LoadedModel, asked_versions: tuple[str, ...]) -> InferRoute | None:
    if loaded.executor.sink is None or loaded.config.model_transaction_policy.decoupled:
        return None
    interface = interface_of(loaded.config)
    if len(interface.required_inputs) < len(interface.inputs):
        return None
    signature = loaded.signature
    positions = {spec.name: position for position, spec in enumerate(signature.inputs)}
    input_positions = tuple(positions[name] for name in interface.inputs)
    return InferRoute(
        asked_versions=asked_versions,
        version=str(loaded.version),
        interface=interface,
        input_positions=input_positions,
        outputs=tuple(interface.outputs.get(spec.name, _not_served(spec)) for spec in signature.outputs),
        input_dtypes=tuple(signature.inputs[position].dtype for position in input_positions),
        output_dtypes=tuple(spec.dtype for spec in signature.outputs),
        sink=loaded.executor.sink,
    )


def _not_served(spec: TensorSpec) -> DeclaredTensor:
    return DeclaredTensor(name="", dtype=spec.dtype, dims=spec.shape, model_dims=spec.shape)
