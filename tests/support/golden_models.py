"""The equal model repositories of the parity suite: the same files for both servers but for the name of one backend.

What only copies its input runs on the peer's backend `echo` there and on `identity` here, where both can: text and
variable dimensions cannot be copied by `identity`, and `echo` counts executions its own way. All else is a `model.py`
that both run.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

SOURCES = Path(__file__).with_name("golden_python")
# The backend that gives its first input back, by server.
COPYING = {"triton": "echo", "npuserve": "identity"}
DTYPES = (
    *("BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64"),
    *("FP16", "FP32", "FP64", "BF16", "STRING"),  # text is the last
)


@dataclass(frozen=True, kw_only=True)
class GoldenModel:
    """A model folder. `source` names a file of golden_python; without it the model copies.

    config lacks the backend; files are further ones, by their path in the folder.
    """

    name: str
    config: str
    source: str | None = None
    versions: tuple[int, ...] = (1,)
    files: Mapping[str, str] = field(default_factory=dict)
    backend: str | None = None

    def config_text(self, server: str) -> str:
        """Return config.pbtxt for a server, a key of COPYING."""
        if "ensemble_scheduling" in self.config:
            return self.config
        backend = self.backend or ("python" if self.source else COPYING[server])
        return f'backend: "{backend}"\n{self.config}'

    def write(self, repository: Path, server: str) -> None:
        """Put the model into a repository."""
        folder = repository / self.name
        for version in self.versions:
            (folder / str(version)).mkdir(parents=True)
            if self.source:
                text = (SOURCES / f"{self.source}.py").read_text()
                (folder / str(version) / "model.py").write_text(text)
        folder.mkdir(exist_ok=True)
        (folder / "config.pbtxt").write_text(self.config_text(server))
        for name, text in self.files.items():
            (folder / name).write_text(text)


def write_repository(repository: Path, models: Iterable[GoldenModel], server: str) -> None:
    """Make a repository of these models for a server, a key of COPYING."""
    for model in models:
        model.write(repository, server)


def copying(name: str, dtype: str, dims: str, rest: str = "max_batch_size: 8", **others: object) -> GoldenModel:
    """A model with INPUT0 and its copy OUTPUT0, of that type (`FP32`) and those dims (`[ 16 ]`)."""
    tensor = f"data_type: TYPE_{dtype} dims: {dims}"
    config = f'input [ {{ name: "INPUT0" {tensor} }} ]\noutput [ {{ name: "OUTPUT0" {tensor} }} ]\n{rest}\n'
    return GoldenModel(name=name, config=config, **others)  # type: ignore[arg-type]  # passed on as they are


def _tensor(side: str, index: int, dtype: str, dims: str, rest: str = "") -> str:
    return f'{side.lower()} [ {{ name: "{side}{index}" data_type: TYPE_{dtype} dims: {dims} {rest} }} ]\n'


SIMPLE = GoldenModel(
    name="simple",
    source="simple",
    config="max_batch_size: 8\n"
    + "".join(_tensor(side, index, "INT32", "[ 16 ]") for side in ("INPUT", "OUTPUT") for index in range(2))
    + "dynamic_batching { }\n",
)
ACTOR = GoldenModel(
    name="actor",
    source="actor",
    config="max_batch_size: 4\n"
    + _tensor("INPUT", 0, "STRING", "[ 1 ]")
    + _tensor("OUTPUT", 0, "STRING", "[ 1 ]")
    + 'parameters { key: "greeting" value { string_value: "hello" } }\n',
)
# The same, one at a time and soon out of patience.
HURRIED = GoldenModel(
    name="hurried",
    source="actor",
    config=ACTOR.config.replace("max_batch_size: 4", "max_batch_size: 1")
    + """dynamic_batching { default_queue_policy { timeout_action: REJECT default_timeout_microseconds: 250000
  allow_timeout_override: true } }
""",
)
OPTIONAL = GoldenModel(
    name="optional",
    source="optional",
    config="max_batch_size: 4\n"
    + _tensor("INPUT", 0, "INT32", "[ 2 ]")
    + _tensor("INPUT", 1, "INT32", "[ 2 ]", "optional: true")
    + _tensor("OUTPUT", 0, "INT32", "[ 2 ]"),
)
REPEAT = GoldenModel(
    name="repeat",
    source="repeat",
    config="max_batch_size: 0\n"
    + _tensor("INPUT", 0, "INT32", "[ 1 ]")
    + _tensor("OUTPUT", 0, "INT32", "[ 1 ]")
    + "model_transaction_policy { decoupled: true }\n",
)


def sequence_model(name: str, strategy: str, identifier: str, idle_us: int = 60_000_000) -> GoldenModel:
    """A model that adds up sequences: scheduled so, with correlation ids of that type (`UINT64`)."""
    controls = "".join(
        f'control_input [ {{ name: "{name}" control [ {{ kind: CONTROL_SEQUENCE_{name} '
        f"int32_false_true: [ 0, 1 ] }} ] }} ]\n"
        for name in ("START", "END", "READY")
    )
    return GoldenModel(
        name=name,
        source="accumulate",
        config="max_batch_size: 2\n"
        + _tensor("INPUT", 0, "INT32", "[ 1 ]")
        + _tensor("OUTPUT", 0, "INT32", "[ 4 ]")
        + _tensor("OUTPUT", 1, "STRING", "[ 1 ]")
        + f"sequence_batching {{ max_sequence_idle_microseconds: {idle_us}\n{strategy}\n{controls}"
        + 'control_input [ { name: "CORRID" control [ { kind: CONTROL_SEQUENCE_CORRID '
        + f"data_type: TYPE_{identifier} }} ] }} ]\n}}\n",
    )


SEQUENCES = (
    sequence_model("accumulate", "direct { }", "UINT64"),
    sequence_model("accumulate_oldest", "oldest { max_candidate_sequences: 4 }", "INT64"),
)
SEATED = replace(sequence_model("seated", "direct { }", "UINT64"), source="seated")
_ENSEMBLE_TENSORS = (
    'input [ { name: "LEFT" data_type: TYPE_INT32 dims: [ 16 ] }, '
    '{ name: "RIGHT" data_type: TYPE_INT32 dims: [ 16 ] } ]\n'
    'output [ { name: "SUM" data_type: TYPE_INT32 dims: [ 16 ] }, '
    '{ name: "DIFFERENCE" data_type: TYPE_INT32 dims: [ 16 ] } ]\n'
)
ENSEMBLE = GoldenModel(
    name="ensemble",
    config='platform: "ensemble"\nmax_batch_size: 8\n'
    + _ENSEMBLE_TENSORS
    + """ensemble_scheduling { step [
  { model_name: "simple" model_version: -1
    input_map { key: "INPUT0" value: "LEFT" } input_map { key: "INPUT1" value: "RIGHT" }
    output_map { key: "OUTPUT0" value: "total" } output_map { key: "OUTPUT1" value: "DIFFERENCE" } },
  { model_name: "copy_INT32" model_version: -1
    input_map { key: "INPUT0" value: "total" } output_map { key: "OUTPUT0" value: "SUM" } }
] }
""",
)
LABELS = "".join(f"{color}\n" for color in ("red", "green", "blue", "black"))

COPIES = (
    *(copying(f"copy_{dtype}", dtype, "[ 16 ]" if dtype == "INT32" else "[ 3 ]") for dtype in DTYPES[:-1]),
    copying("copy_STRING", "STRING", "[ 3 ]", source="copying"),
    copying("variable", "FP32", "[ -1 ]", "max_batch_size: 8\ndynamic_batching { }", source="copying"),
    copying("variable2", "INT64", "[ 2, -1 ]", source="copying"),
    copying("plain", "FP32", "[ 2, 3 ]", "max_batch_size: 0"),
    copying("plain_variable", "FP32", "[ -1, 2 ]", "max_batch_size: 0", source="copying"),
    copying("text", "STRING", "[ -1 ]", "max_batch_size: 0", source="copying"),
    GoldenModel(
        name="labelled",
        config="max_batch_size: 4\n"
        + _tensor("INPUT", 0, "FP32", "[ 4 ]")
        + _tensor("OUTPUT", 0, "FP32", "[ 4 ]", 'label_filename: "labels.txt"'),
        files={"labels.txt": LABELS},
    ),
    GoldenModel(
        name="reshaped",
        config="max_batch_size: 4\n"
        + _tensor("INPUT", 0, "FP32", "[ 1 ]", "reshape { shape: [ ] }")
        + _tensor("OUTPUT", 0, "FP32", "[ 1 ]", "reshape { shape: [ ] }"),
    ),
    GoldenModel(
        name="reshaped_matrix",
        config="max_batch_size: 0\n"
        + _tensor("INPUT", 0, "FP32", "[ 4 ]", "reshape { shape: [ 2, 2 ] }")
        + _tensor("OUTPUT", 0, "FP32", "[ 4 ]", "reshape { shape: [ 2, 2 ] }"),
    ),
    copying("latest_two", "FP32", "[ 1 ]", "version_policy { latest { num_versions: 2 } }", versions=(1, 3, 10)),
    copying("latest", "FP32", "[ 1 ]", "max_batch_size: 1", versions=(1, 2, 11)),
    copying("every", "FP32", "[ 1 ]", "version_policy { all { } }", versions=(1, 2, 4)),
    copying("specific", "FP32", "[ 1 ]", "version_policy { specific { versions: [ 1, 3, 7 ] } }", versions=(1, 2, 3)),
    copying(
        "queued",
        "INT32",
        "[ 2 ]",
        """max_batch_size: 6
dynamic_batching { preferred_batch_size: [ 2, 4 ] max_queue_delay_microseconds: 100 priority_levels: 2
  default_priority_level: 1 default_queue_policy { timeout_action: DELAY default_timeout_microseconds: 1000000
  allow_timeout_override: true max_queue_size: 7 } }
instance_group [ { count: 2 kind: KIND_CPU } ]
metric_tags { key: "team" value: "search" }
parameters { key: "note" value { string_value: "a text" } }
model_warmup [ { name: "first" batch_size: 2 inputs { key: "INPUT0"
  value { data_type: TYPE_INT32 dims: [ 2 ] zero_data: true } } } ]
optimization { eager_batching: true }""",
        source="copying",
    ),
)
COUNTED = (copying("counted", "INT32", "[ 2 ]", source="copying"), copying("idle", "INT32", "[ 2 ]"))
SERVED = (*COPIES, *COUNTED, SIMPLE, ACTOR, HURRIED, OPTIONAL, REPEAT, *SEQUENCES, SEATED, ENSEMBLE)
RESTRICTED = (ACTOR, copying("plain", "FP32", "[ 2 ]", "max_batch_size: 0"))
CACHED = (
    copying("cached", "INT32", "[ 2 ]", "max_batch_size: 4\nresponse_cache { enable: true }"),
    copying("uncached", "INT32", "[ 2 ]", "max_batch_size: 4"),
)
CONTROLLED = (
    copying("first", "FP32", "[ 2 ]", "max_batch_size: 4"),
    copying("second", "FP32", "[ 2 ]", "max_batch_size: 4", versions=(1, 2)),
    copying("step", "FP32", "[ 2 ]", "max_batch_size: 4"),
    GoldenModel(
        name="chain",
        config='platform: "ensemble"\nmax_batch_size: 4\n'
        + 'input [ { name: "IN" data_type: TYPE_FP32 dims: [ 2 ] } ]\n'
        + 'output [ { name: "OUT" data_type: TYPE_FP32 dims: [ 2 ] } ]\n'
        + 'ensemble_scheduling { step [ { model_name: "step" model_version: -1 '
        + 'input_map { key: "INPUT0" value: "IN" } output_map { key: "OUTPUT0" value: "OUT" } } ] }\n',
    ),
    GoldenModel(
        name="broken",
        source="broken",
        config="max_batch_size: 4\n" + _tensor("INPUT", 0, "FP32", "[ 2 ]") + _tensor("OUTPUT", 0, "FP32", "[ 2 ]"),
    ),
    GoldenModel(
        name="circular",
        config='platform: "ensemble"\nmax_batch_size: 4\n'
        + 'input [ { name: "IN" data_type: TYPE_FP32 dims: [ 2 ] } ]\n'
        + 'output [ { name: "OUT" data_type: TYPE_FP32 dims: [ 2 ] } ]\nensemble_scheduling { step [\n'
        + '  { model_name: "step" model_version: -1 input_map { key: "INPUT0" value: "IN" } '
        + 'output_map { key: "OUTPUT0" value: "OUT" } },\n'
        + '  { model_name: "step" model_version: -1 input_map { key: "INPUT0" value: "OUT" } '
        + 'output_map { key: "OUTPUT0" value: "IN" } }\n] }\n',
    ),
    copying(
        "overheated",
        "FP32",
        "[ 2 ]",
        """max_batch_size: 4
model_warmup [ { name: "large" batch_size: 6 inputs { key: "INPUT0"
  value { data_type: TYPE_FP32 dims: [ 2 ] zero_data: true } } } ]""",
        source="copying",
    ),
    copying("no_version", "FP32", "[ 2 ]", "version_policy { specific { versions: [ 5 ] } }"),
    copying("unreadable", "FP32", "[ 2 ]", "no_such_field: 1"),
    copying("strange", "FP32", "[ 2 ]", "max_batch_size: 4", backend="nonesuch"),
)
BROKEN = (
    copying("good", "FP32", "[ 2 ]", "max_batch_size: 4"),
    GoldenModel(
        name="no_labels",
        config="max_batch_size: 4\n"
        + _tensor("INPUT", 0, "FP32", "[ 2 ]")
        + _tensor("OUTPUT", 0, "FP32", "[ 2 ]", 'label_filename: "absent.txt"'),
    ),
)
POLLED = tuple(copying(name, "FP32", "[ 2 ]", "max_batch_size: 4") for name in ("first", "second", "good"))
