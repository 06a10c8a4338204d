"""The engine: dynamic batcher, slots and instances over AscendCL. Native threads never take the GIL."""

from collections.abc import Mapping, Sequence
from typing import Any, final

from numpy.typing import NDArray
from typing_extensions import Buffer

from npuserve.core.timing import NativeTiming

class AclError(RuntimeError):
    """An AscendCL call failed. `kind` is one of `invalid`, `out_of_memory`, `busy`, `device_fatal`, `failed`."""

    call: str
    code: int
    code_name: str
    detail: str
    kind: str

class LibraryError(RuntimeError):
    """No AscendCL library could be loaded, or it lacks a symbol; the message names what was tried and where."""

class DeviceMemoryError(RuntimeError):
    """A device has less free memory than a model needs; the message says how much of what."""

@final
class TensorSpec:
    @property
    def name(self) -> str: ...
    @property
    def dtype(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...]: ...

@final
class Gear:
    @property
    def input_shapes(self) -> list[tuple[int, ...]]: ...
    @property
    def output_shapes(self) -> list[tuple[int, ...]]: ...

@final
class Signature:
    """Inputs, outputs and gears; the gear input that the compiler appends is not among the inputs."""

    @property
    def inputs(self) -> list[TensorSpec]: ...
    @property
    def outputs(self) -> list[TensorSpec]: ...
    @property
    def gears(self) -> list[Gear]: ...

def make_signature(
    *,
    inputs: Sequence[tuple[str, str, Sequence[int]]],
    outputs: Sequence[tuple[str, str, Sequence[int]]],
    gears: Sequence[tuple[Sequence[Sequence[int]], Sequence[Sequence[int]]]],
) -> Signature:
    """Return a signature of tensors (name, wire name of the dtype, full shape) and gears (shapes of both kinds).

    Raises ValueError for an unknown dtype, no gear, and gears whose shapes are not those of the tensors.
    """

def identity_signature(tensors: Sequence[tuple[str, str, str, Sequence[int]]], max_batch_size: int) -> Signature:
    """Return the signature of a model whose outputs are copies of its inputs, with gears of powers of two rows.

    tensors: input name, output name, dtype (wire name) and dims without the batch. Raises ValueError for a dtype
    without a fixed size, a dimension that is not fixed, a negative max_batch_size.
    """

class OnnxError(RuntimeError):
    """A call of ONNX Runtime failed; the message is worded as Triton words it."""

class OnnxLibraryError(RuntimeError):
    """ONNX Runtime's library could not be loaded, or it is too old; the message names it and the reason."""

@final
class OnnxRuntime:
    """ONNX Runtime's shared library, beside the copy that its Python package has. Raises OnnxLibraryError."""

    def __init__(self, file: str) -> None: ...
    @property
    def version(self) -> str: ...

@final
class OnnxOptions:
    """Options of a session as ONNX Runtime's C API counts them; `entries` are session entries by their own names."""

    def __init__(
        self,
        *,
        graph_optimization_level: int,
        execution_mode: int,
        intra_op_threads: int,
        inter_op_threads: int,
        memory_arena: bool,
        memory_pattern: bool,
        entries: Sequence[tuple[str, str]],
    ) -> None: ...

@final
class OnnxSession:
    """A loaded ONNX model that tells the shapes of its outputs.

    inputs: name, wire name of the dtype, shape (only its rank counts) of all inputs. outputs: those to tell of.
    Blocks (without the GIL). Raises OnnxError, ValueError for dtypes that are none.
    """

    def __init__(
        self,
        runtime: OnnxRuntime,
        path: str,
        options: OnnxOptions,
        inputs: Sequence[tuple[str, str, Sequence[int]]],
        outputs: Sequence[str],
    ) -> None: ...
    def output_shapes(self, shapes: Sequence[Sequence[int]], ones: bool = False) -> list[tuple[int, ...]]:
        """Run inputs of these shapes, zero or one in every element. Blocks (without the GIL). Raises OnnxError."""

@final
class DeviceState:
    """What a driver tells of a device now."""

    @property
    def physical_id(self) -> int | None:
        """The machine's number of the device, where AscendCL counts the visible ones from 0; None if not told."""
    @property
    def memory_total_bytes(self) -> int:
        """0 for a device that this process does not use: asking would start it."""
    @property
    def memory_free_bytes(self) -> int: ...
    @property
    def utilization_percent(self) -> int | None:
        """Of the busier kind of its cores, 0 to 100; None if not told."""

@final
class Runtime:
    """An initialised AscendCL.

    candidates: in order of preference, each the files that together are one AscendCL. Raises LibraryError, AclError.
    """

    def __init__(self, candidates: Sequence[Sequence[str]]) -> None: ...
    @property
    def library_files(self) -> list[str]: ...
    @property
    def soc_name(self) -> str: ...
    @property
    def device_count(self) -> int: ...
    @property
    def device_allocations(self) -> int:
        """Device and pinned-host allocations made so far through this runtime; constant while serving."""
    @property
    def failed_releases(self) -> tuple[int, str]:
        """How many handles the driver refused to take back so far, and what it said of the last; 0 and "" if none."""
    def describe(self, path: str, device: int = 0) -> Signature:
        """Load the OM on the device, read its description, unload it. Raises AclError."""
    def device_state(self, device: int) -> DeviceState:
        """Ask the driver about a device, from any thread; may block (without the GIL). Raises AclError."""
    def pin(self, device: int, memory: Buffer) -> bool:
        """Have the device copy from writable memory that starts at a page by itself; False if the library cannot.

        The memory stays exported until it is unpinned, or the runtime closed. Blocks (without the GIL), and leaves the
        thread with a context of its own. Raises AclError if the driver refuses.
        """
    def unpin(self, device: int, memory: Buffer) -> None:
        """Take memory from the device, which need not have it, when no request uses it any more. Blocks like `pin`."""
    @property
    def borrowed_inputs(self) -> int:
        """How many inputs devices have copied from pinned memory of others instead of a slot."""
    def close(self) -> None:
        """Finalize AscendCL. Every Model must be closed. Idempotent."""

@final
class Turns:
    """What the models of a server share: the time of devices, and resources that executions need.

    pools: (name, count, device or None for each device); empty: of every resource as many as the largest need.
    """

    def __init__(self, pools: Sequence[tuple[str, int, int | None]]) -> None: ...

@final
class ModelOptions:
    def __init__(
        self,
        *,
        name: str,
        max_batch_size: int,
        dynamic_batching: bool,
        preferred_batch_sizes: Sequence[int],
        max_queue_delay_us: int,
        max_queue_size: int,
        devices: Sequence[int],
        slots_per_instance: int,
        variable_output_axes: Sequence[Sequence[int]],
        record_statistics: bool = True,
        time_stages: bool = True,
        preserve_ordering: bool = False,
        levels: int = 0,
        default_level: int = 0,
        default_policy: tuple[int, bool, bool, int] = ...,
        policies: Mapping[int, tuple[int, bool, bool, int]] = ...,
        buckets: bool = False,
        max_overtaken: int = 0,
        mask_input: str | None = None,
        padding: Mapping[str, float] = ...,
        detect_padding: bool = False,
        admission_max_wait_us: int = 0,
        adaptive_delay_p99_us: int = 0,
        check_finite: bool = False,
    ) -> None:
        """Check little yet: the model does the rest, against its OM.

        max_queue_size: requests of all levels together; 0 is no limit.
        devices: one entry per instance: the device it runs on; an identity model only counts them.
        variable_output_axes: per output, the axes of its full shape that follow a request's own length.
        time_stages: whether the device's marks between copying and executing are timed, which costs it time stamps.
        record_statistics: whether requests and executions are counted; if not, all counters stay zero.
        preserve_ordering: whether answers go out in the order in which batches were made, whatever instance ran them.
        levels: of priority, counted from 1; 0 if the model has none: then requests' priorities have no effect.
        default_policy, policies: of all levels, and of single ones: the timeout in microseconds (0: none), whether a
        request's own may shorten it, whether requests that time out are served last and not refused, the most
        requests that wait (0: no limit).
        buckets: whether requests of different lengths share a batch; max_overtaken batches may overtake a request.
        mask_input: the input that is 0 where a position does not count. padding: by input, what fills it beyond a
        request's length, where that is not 0. detect_padding: whether trailing positions that the mask does not count
        are cut from requests; outputs that follow the length have zeros there.
        admission_max_wait_us: a request that would wait longer is refused; adaptive_delay_p99_us: the latency that the
        queue delay is adjusted to hold; 0 is off for both.
        check_finite: whether an answer with NaN or infinity in it is a failure, INTERNAL.
        Raises ValueError for times that are negative or longer than 35 years.
        """

    def share(
        self,
        turns: Turns,
        *,
        devices: Sequence[int],
        has_turns: bool,
        weight: float,
        needs: Sequence[Sequence[tuple[str, int, bool]]],
        priorities: Sequence[int],
    ) -> None:
        """Have the instances share devices with those of other models that were given the same turns.

        devices, needs, priorities: an entry an instance; of the rate limiter, needs are (name, count, is global).
        has_turns: whether the time of a device is shared by weight, too.
        """
    def place(self, policies: Sequence[tuple[Sequence[int], int | None]]) -> None:
        """Run the threads of each instance on CPU cores (none: any), with memory of a NUMA node (None: any)."""

QUEUE_FULL: int
OVERLOADED: int
STOPPING: int

@final
class SchedulerCore:
    """The engine's decisions, for models whose batches Python runs: who waits, who runs together, on which instance.

    Instants are nanoseconds of any clock that does not go back. Not thread-safe.
    """

    def __init__(
        self,
        *,
        instances: int,
        max_batch_size: int,
        dynamic_batching: bool,
        preferred_batch_sizes: Sequence[int],
        max_queue_delay_us: int,
        levels: int,
        default_level: int,
        default_policy: tuple[int, bool, bool, int],
        policies: Mapping[int, tuple[int, bool, bool, int]],
        max_predicted_wait_us: int,
        target_p99_us: int,
    ) -> None:
        """Raise ValueError for what is out of range.

        instances: each runs one batch at a time. levels: of priority, from 1. A policy, by level, is timeout_us (0:
        none), allows_override, delays, max_size (0: no limit). max_predicted_wait_us, target_p99_us: 0 for none.
        """
    def submit(self, now_ns: int, rows: int, row_shape: Sequence[int], priority: int, timeout_us: int) -> int:
        """Queue a request and return its ticket, or QUEUE_FULL, OVERLOADED or STOPPING, which are negative.

        Requests with equal row shapes may share a batch. priority, timeout_us: the request's own; 0 for none.
        A ticket is given to another request once its own has left the queue.
        """
    def cancel(self, ticket: int) -> None:
        """Take a request out of the queue, where it must be."""
    def expire(self, now_ns: int) -> list[int]:
        """Take out and return the requests that have waited as long as they may."""
    def take(self, now_ns: int) -> tuple[int, list[int]] | int | None:
        """Return an instance and the requests that it runs now, which have left the queue.

        If there is no batch now: when to ask again even if nothing changes, or None.
        """
    def ended(self, instance: int, now_ns: int) -> None:
        """Take an instance back that runs a batch."""
    def answered(self, latency_ns: int, now_ns: int) -> None:
        """Tell how long after its arrival a request was answered: what target_p99_us is held with."""
    def stop(self) -> None:
        """Queue nothing more; what is queued runs without delay."""
    def predicted_wait_ns(self, now_ns: int) -> int:
        """Return how long a request that came now would wait."""
    @property
    def refused_wait_ns(self) -> int:
        """How long the request would have waited that was refused last with OVERLOADED."""
    @property
    def next_expiry_ns(self) -> int | None:
        """When `expire` has something to do next; None if nothing times out."""
    @property
    def queued(self) -> int: ...
    @property
    def queue_delay_ns(self) -> int:
        """How long a batch is held for more at present."""

@final
class Output:
    """One output of a completion; the buffer protocol exposes its bytes without copying (read-only, format B)."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...

@final
class Completion:
    @property
    def token(self) -> int: ...
    @property
    def status(self) -> int:
        """A gRPC status code number; 0 is success."""
    @property
    def message(self) -> str: ...
    @property
    def timing(self) -> NativeTiming | None:
        """The fields of `npuserve.core.timing.RequestTiming`, in its order; None if nothing was executed."""
    @property
    def outputs(self) -> list[Output]:
        """In the model's order; one that went to its destination has no bytes."""

@final
class CompletionQueue:
    """Where native threads leave completions; one eventfd becomes readable when there are some."""

    def __init__(self) -> None: ...
    def fileno(self) -> int: ...
    def drain(self) -> list[Completion]:
        """Take everything that has completed, oldest first. Never blocks."""
    def wait(self, timeout_s: float) -> bool:
        """Block (without the GIL) until a completion is there or the time is over."""
    def close(self) -> None: ...

@final
class DurationCount:
    @property
    def count(self) -> int: ...
    @property
    def ns(self) -> int: ...

@final
class BatchStatistics:
    @property
    def batch_size(self) -> int: ...
    @property
    def compute_input(self) -> DurationCount: ...
    @property
    def compute_infer(self) -> DurationCount: ...
    @property
    def compute_output(self) -> DurationCount: ...

@final
class GearStatistics:
    """Where the work of one gear went, in tokens; see `npuserve.observability.statistics.GearStatistics`."""

    @property
    def label(self) -> str: ...
    @property
    def executions(self) -> int: ...
    @property
    def useful(self) -> int: ...
    @property
    def padding(self) -> int: ...
    @property
    def cancelled(self) -> int: ...
    @property
    def expired(self) -> int: ...
    @property
    def empty(self) -> int: ...
    @property
    def cost_ns(self) -> int: ...

@final
class Statistics:
    @property
    def last_inference_ms(self) -> int: ...
    @property
    def inference_count(self) -> int: ...
    @property
    def execution_count(self) -> int: ...
    @property
    def success(self) -> DurationCount: ...
    @property
    def fail(self) -> DurationCount: ...
    @property
    def queue(self) -> DurationCount: ...
    @property
    def compute_input(self) -> DurationCount: ...
    @property
    def compute_infer(self) -> DurationCount: ...
    @property
    def compute_output(self) -> DurationCount: ...
    @property
    def batches(self) -> list[BatchStatistics]: ...
    @property
    def rejected(self) -> int:
        """Requests that a full queue refused, which are not in `fail`, or that timed out in it."""
    @property
    def cancelled(self) -> int:
        """Requests that were given up while queued."""
    @property
    def backend_failures(self) -> int:
        """Requests whose execution failed."""
    @property
    def other_failures(self) -> int:
        """Requests whose outputs could not be delivered."""
    @property
    def padded_rows(self) -> int:
        """Rows of the gears that were executed and were no request's."""
    @property
    def nonfinite_rows(self) -> int:
        """Rows of answers with NaN or infinity in them; 0 unless that is looked for."""
    @property
    def gears(self) -> list[GearStatistics]:
        """In the signature's order."""
    @property
    def lengths(self) -> dict[int, int]:
        """Rows that were answered, by their own length, ascending; empty for models whose rows have none."""
    @property
    def expired(self) -> int:
        """Requests that timed out in the queue."""
    @property
    def shed(self) -> int:
        """Requests that were refused as they would have waited too long; not in `fail`."""
    @property
    def queued(self) -> int:
        """Requests that wait for an instance now."""
    @property
    def predicted_wait_ns(self) -> int:
        """How long a request that came now would wait."""
    @property
    def queue_delay_ns(self) -> int:
        """How long a batch is held for more requests at present."""

@final
class MemoryUse:
    """What all instances of a model take on one device.

    weight_bytes, work_bytes: 0 where the library does not tell.
    buffer_bytes, pinned_bytes: of the slots, on the device and on the host.
    """

    @property
    def device(self) -> int: ...
    @property
    def instances(self) -> int: ...
    @property
    def weight_bytes(self) -> int: ...
    @property
    def work_bytes(self) -> int: ...
    @property
    def buffer_bytes(self) -> int: ...
    @property
    def pinned_bytes(self) -> int: ...

@final
class Model:
    """One model version: a queue, a batcher and its instances. Loads, allocates its slots and warms up every gear.

    The instances of a device share the model's weights where the library lets them.
    Raises AclError, DeviceMemoryError, ValueError (options that contradict the OM or the machine; the message says
    which).
    """

    def __init__(self, runtime: Runtime, path: str, options: ModelOptions, completions: CompletionQueue) -> None: ...
    @staticmethod
    def identity(
        signature: Signature, options: ModelOptions, execute_delay_us: int, completions: CompletionQueue
    ) -> Model:
        """Return a model on the CPU whose outputs are copies of its inputs.

        signature: one of `identity_signature`.
        execute_delay_us: what an execution takes; executions of an instance run one after another.
        Raises ValueError as the constructor, MemoryError.
        """
    @staticmethod
    def onnxruntime(
        runtime: OnnxRuntime,
        path: str,
        session: OnnxOptions,
        share_session: bool,
        signature: Signature,
        options: ModelOptions,
        completions: CompletionQueue,
    ) -> Model:
        """Load an ONNX model on the CPU, a session for each instance or one for all, and measure what its gears cost.

        signature: its inputs and outputs, and the shapes it is to run. Blocks (without the GIL).
        Raises OnnxError, ValueError as the constructor, MemoryError.
        """
    @property
    def signature(self) -> Signature: ...
    @property
    def memory(self) -> list[MemoryUse]:
        """What the model takes, by device; nothing if it runs on none or is closed."""
    @property
    def sink(self) -> object:
        """A new capsule "npuserve.core.Sink": its pointer is a std::shared_ptr<core::Sink>* to this model.

        It may outlive the model: what is submitted after `close` is answered UNAVAILABLE.
        """
    def submit(
        self,
        token: int,
        inputs: Sequence[tuple[Buffer | NDArray[Any], Sequence[int]]],
        rows: int,
        destinations: Sequence[Buffer | NDArray[Any] | None] | None = None,
        *,
        priority: int = 0,
        timeout_us: int | None = None,
        deadline: float | None = None,
    ) -> None:
        """Queue a request; its completion carries `token`. Never blocks.

        inputs: per input of the signature, C-contiguous bytes (read without a copy; kept alive until the completion is
        drained) and the full shape. Raises ValueError if a count, shape or size does not fit the model.
        destinations: per output, writable C-contiguous memory that takes its bytes, or None; one that is too small
        makes the completion INTERNAL, and nothing is written.
        priority, timeout_us: the client's, if it gave any. deadline: the instant of `time.monotonic()` from which on
        nobody waits for the answer.
        Refusals that are ordinary (queue full, stopping, longer than any gear, parameters out of range) come as
        completions.
        """
    def cancel(self, token: int) -> bool:
        """Drop the request if it is still queued (its completion is CANCELLED); False if it is not.

        One that executes is answered all the same, and counted as work that nobody wanted.
        """
    def statistics(self) -> Statistics: ...
    @property
    def pending(self) -> int:
        """Requests queued or executing."""
    def close(self) -> None:
        """Refuse new requests, complete the accepted ones, unload. Blocks without the GIL. Idempotent."""
