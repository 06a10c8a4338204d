"""Where npuserve's answers differ from Triton's on purpose: the table that docs/compatibility.md shows."""

import copy
import math

from support.golden_changes import (
    NO_ID,
    Answer,
    all_dimensions,
    as_contents,
    as_floats,
    counted_anew,
    http_refused,
    in_one_request,
    json_error,
    later_field,
    load_duration,
    named_otherwise,
    no_gpus,
    no_pool,
    refused,
    said_once,
    with_data,
    with_empty_model,
    with_id,
    with_values,
)
from support.golden_difference import Difference

# Calls that end the real server's process, by family: they have no golden answer, but npuserve must answer them.
PEER_DIES = {"streaming": ("strict stream: a decoupled error",)}


def expected(family: str, name: str, golden: Answer) -> Answer:
    """Return what npuserve must answer where Triton answered so."""
    answer = copy.deepcopy(golden)
    for difference in DIFFERENCES:
        if difference.concerns(family, name):
            answer = difference.expected(family, name, answer)
    return answer


OUTSIDE = ("../model.py", "1/../../model.py", "/model.py", "1/", "")
RATE_REFUSED = "Unable to parse 'trace_rate', value is out of range [ 0, 4294967295 ], got: -1"
INFINITE = {
    "status": 200,
    "headers": {"content-type": "application/json"},
    "body": {
        "id": "first",
        "model_name": "copy_FP32",
        "model_version": "1",
        "outputs": [{"name": "OUTPUT0", "datatype": "FP32", "shape": [1, 3], "data": [1.5, math.inf, 3.0]}],
    },
}


def _file_refused(path: str) -> Answer:
    text = f"invalid load parameter 'file:{path}', expected 'file:<version>/<path>' within the model's directory."
    return {"code": "INVALID_ARGUMENT", "details": text}


def _head_refused(status: int, error: str) -> Answer:
    return http_refused(status, error)({})


DIFFERENCES: tuple[Difference, ...] = (
    Difference(
        topic="server metadata",
        triton="name `triton`, its version; announces `cuda_shared_memory`",
        npuserve="name `npuserve` (flag `--id`), its own version; does not announce it",
        reason="clients test the list before they use an extension, and there are no CUDA devices",
        calls=("metadata/server metadata, *", "access/ServerMetadata *"),
        change=named_otherwise,
    ),
    Difference(
        topic="content type of HTTP errors",
        triton="`text/plain` or `application/json`, by the stage that failed; the body is JSON in both",
        npuserve="`application/json`",
        reason="says what the body is; no client looks at it",
        calls=("*",),
        change=json_error,
    ),
    Difference(
        topic="FP16 and BF16 as typed contents",
        triton="INVALID_ARGUMENT",
        npuserve="accepted as `fp32_contents`, rounded to the nearest, ties to even",
        reason="a client without half precision need not write raw bytes",
        calls=("errors/FP16 in fp32_contents", "errors/BF16 in fp32_contents"),
        change=as_floats,
    ),
    Difference(
        topic="an output requested twice",
        triton="answered once",
        npuserve="refused: `output 'O' already exists in request`, as later releases do",
        reason="later releases do",
        calls=("infer/outputs ?'OUTPUT0', 'OUTPUT0'?",),
        change=refused("INVALID_ARGUMENT", f"{NO_ID} output 'OUTPUT0' already exists in request"),
    ),
    Difference(
        topic="a required input missing where an optional one is given",
        triton="accepted, as only the number of inputs is looked at; the model fails or reads nothing",
        npuserve="refused, with the name of what is missing",
        reason="a model must get the inputs that its config requires",
        calls=("errors/only the optional input",),
        change=refused(
            "INVALID_ARGUMENT",
            f"{NO_ID} expected number of inputs between 1 and 2 but got 1 inputs for model 'optional'. Got input(s) "
            "['INPUT1'], but missing required input(s) ['INPUT0']. Please provide all required input(s).",
        ),
    ),
    Difference(
        topic="dimensions below zero",
        triton="`All input dimensions should be specified` for -1 of an input, else a byte size that makes no sense",
        npuserve="`All input dimensions should be specified` for all of them",
        reason="says what is wrong",
        calls=("errors/a dimension of -2, *", "errors/a batch of -1, *"),
        change=all_dimensions,
    ),
    Difference(
        topic="several inputs wrong at once",
        triton="which one is named depends on the order of a hash table",
        npuserve="the first",
        reason="the same request gets the same answer",
        calls=("errors/wrong type of the first, wrong shape of the second",),
        change=refused(
            "INVALID_ARGUMENT",
            f"{NO_ID} inference input 'INPUT0' data-type is 'FP32', but model 'simple' expects 'INT32'",
        ),
    ),
    Difference(
        topic="a body that is not what Content-Encoding says",
        triton="taken as empty, and refused for that",
        npuserve="refused: `the request body is not valid gzip data`",
        reason="says what is wrong",
        calls=("http/no gzip",),
        change=http_refused(400, "the request body is not valid gzip data"),
    ),
    Difference(
        topic="index after a load that found no version",
        triton="the model is not listed until the next index of the folder",
        npuserve="listed with its name alone, as before the load",
        reason="the folder is there",
        calls=("control/index after*", "control/index does*", "control/index without*"),
        change=with_empty_model,
    ),
    Difference(
        topic="config of an ensemble, `max_inflight_requests`",
        triton="not there",
        npuserve="there, as in later releases; 0 is no limit",
        reason="the field is of a later release",
        calls=("config/config of ensemble, HTTP",),
        change=later_field,
    ),
    Difference(
        topic="config of a model with golden answers",
        triton="no such thing",
        npuserve="`golden_measured_*` among its `parameters` ([repository.md](repository.md#right-answers))",
        reason="model metadata has no room for it; a map of texts disturbs no client",
        proof="tests/unit/repository/test_golden.py",
    ),
    Difference(
        topic="CUDA shared memory, register",
        triton="refused as a CUDA build without a device does",
        npuserve="refused as a CPU-only build does: `GPUs not supported`",
        reason="there are no CUDA devices",
        calls=("shared_memory/CUDA register*",),
        change=no_gpus,
    ),
    Difference(
        topic="offset of a shared memory region",
        triton="added twice: data is read and written outside of the region",
        npuserve="added once",
        reason="requests must not reach memory of others",
        proof="tests/conformance/test_shared_memory.py",
    ),
    Difference(
        topic="model load time in the metrics",
        triton="not there",
        npuserve="`nv_model_load_duration_secs`, as later releases have it",
        reason="dashboards of later releases ask for it",
        calls=("metrics/metric families of a copying model",),
        change=load_duration,
    ),
    Difference(
        topic="classification of values with NaN",
        triton="the order of a comparison that NaN breaks",
        npuserve="NaN first; equal values by their index, as in Triton",
        reason="the same answer every time",
        calls=("infer/classes of equal values and NaN",),
        change=with_values(
            [
                *("2.000000:1:green", "2.000000:2:blue", "1.000000:0:red", "1.000000:3:black"),
                *("nan:2:blue", "5.000000:1:green", "5.000000:3:black", "0.000000:0:red"),
            ]
        ),
    ),
    Difference(
        topic="parameter `binary_data` of an output over gRPC",
        triton="without meaning",
        npuserve="false asks for typed contents, of the whole response",
        reason="clients without raw bytes can read FP16 and BF16 as `fp32_contents`",
        calls=("infer/an output that is not wanted binary",),
        change=as_contents,
    ),
    Difference(
        topic='INT64 and INT32 of a model with `backend: "ascend"`',
        triton="no such backend; any other type than the config's is refused",
        npuserve="either is taken for the other, unless a value does not fit or `convert_integers` is off",
        reason="NPU models often hold ids as INT32, and clients send what tokenizers give",
        proof="tests/conformance/test_classification.py",
    ),
    Difference(
        topic="what ends the process of Triton 2.51",
        triton="JSON nested deeply, a shape of 2^62 over HTTP, classes of text, a decoupled error in a strict stream",
        npuserve="refused; the server lives",
        reason="no request may end the server",
        proof="tests/conformance/test_fatal_requests.py",
    ),
    Difference(
        topic="a shape of more than 2^64 bytes",
        triton="the size wraps: it may agree with the data",
        npuserve="refused, with the true size",
        reason="a shape must tell of the data that is there",
        proof="tests/conformance/test_fatal_requests.py",
    ),
    Difference(
        topic="`Inference-Header-Content-Length` that is no number",
        triton="counts as 0: the body is taken as a raw one",
        npuserve="400, with what was given",
        reason="says what is wrong",
        proof="tests/conformance/test_fatal_requests.py",
    ),
    Difference(
        topic="batches of the `direct` strategy",
        triton="a sequence keeps its row; rows before it that have no request are filled up, READY is false there",
        npuserve="only what has a request; READY is always true",
        reason="rows without a request would be computed for nothing",
        calls=("sequences/seated: the second *",),
        change=with_values([1, 0, 1, 1], [""]),
    ),
    Difference(
        topic="`sequence_id` to a model without `sequence_batching`",
        triton="ignored",
        npuserve="INVALID_ARGUMENT, names the model; a Python model may read it, an ensemble hands it to its steps",
        reason="a client that counts on state must not get answers without it",
        answers={
            "infer/a sequence on a model without": {
                "code": "INVALID_ARGUMENT",
                "details": "[request id: p] sequence_id 5 was given, but model 'copy_FP32' has no sequence_batching; "
                "leave it out, or configure sequence_batching",
            }
        },
    ),
    Difference(
        topic="number for a text sequence id, where the model has a numeric CORRID",
        triton="a hash of the text by the C++ library",
        npuserve="another hash of it",
        reason="the number means nothing; equal texts have equal numbers",
        calls=("sequences/text id where numbers are wanted",),
        change=with_values([1, 1, 0, 1], ["2024992729630503895"]),
    ),
    Difference(
        topic="Python model that returns None for a request and keeps no response sender",
        triton="the client waits until its deadline",
        npuserve="INTERNAL: `the model returned no InferenceResponse for the request`",
        reason="no request waits for nothing",
        proof="tests/unit/execution/test_python_model_faults.py",
    ),
    Difference(
        topic="Python model, `EXECUTION_ENV_PATH`",
        triton="an archive is unpacked",
        npuserve="names a folder with `bin/python`; an archive is refused",
        reason="nothing is unpacked at load; the error says what to do",
        proof="tests/unit/execution/test_python_model_faults.py",
    ),
    Difference(
        topic="ensemble with a step that writes an input of the ensemble",
        triton="is loaded; requests are never answered",
        npuserve="refused at load",
        reason="says what is wrong before anyone waits",
        answers={
            "control/load of circular": {
                "code": "INTERNAL",
                "details": "failed to load 'circular', failed to poll from model repository",
            }
        },
    ),
    Difference(
        topic="load parameter `file:` with a path outside of a version folder",
        triton="the file is written; the load fails for another reason",
        npuserve="INVALID_ARGUMENT, names the parameter; nothing is written",
        reason="a client must not write elsewhere",
        answers={f"control/load with a file at '{path}'": _file_refused(path) for path in OUTSIDE},
    ),
    Difference(
        topic="statistics after a load that changes only `instance_group` or `version_policy`",
        triton="go on",
        npuserve="begin anew, as after any other change",
        reason="the new version is built and warmed up as a whole; the old one serves until then",
        calls=("control/statistics after a change of instances", "control/statistics after a change of versions"),
        change=counted_anew,
    ),
    Difference(
        topic="`priority` above the model's `priority_levels`",
        triton="taken as the default",
        npuserve="INVALID_ARGUMENT, names the levels; ignored, as in Triton, by models that have none",
        reason="a request that is meant to be urgent must not wait unnoticed",
        answers={
            "infer/priority 3 of two levels": {
                "code": "INVALID_ARGUMENT",
                "details": "invalid value for 'priority' of model 'queued', expected 0 to 2, got 3",
            }
        },
    ),
    Difference(
        topic="`timeout` of 0 or less, where `allow_timeout_override` is set",
        triton="taken as none",
        npuserve="INVALID_ARGUMENT; ignored, as in Triton, by models without it",
        reason="a request that is to be refused soon must not wait as long as all",
        proof="tests/conformance/test_schedule_policy.py",
    ),
    Difference(
        topic="a request that waits longer than its timeout",
        triton="refused when the batcher looks next, up to half a second later",
        npuserve="refused when its time is over",
        reason="the client can go elsewhere at once",
        proof="tests/conformance/test_schedule_policy.py",
    ),
    Difference(
        topic="requests of different lengths",
        triton="never share a batch",
        npuserve="share batches of models with gears and BERT's inputs, or that ask for it "
        "([scheduling.md](scheduling.md))",
        reason="a full batch of mixed lengths wastes less than many small ones",
        proof="tests/conformance/test_scheduling_metrics.py",
    ),
    Difference(
        topic="bounds of policies",
        triton="none",
        npuserve="1024 `priority_levels`, delays and timeouts of 2^40 microseconds (12 days); more fails the load",
        reason="each level has a queue; larger numbers overflow",
        proof="tests/unit/config/test_validate.py",
    ),
    Difference(
        topic="warm-up in the statistics",
        triton="a sample of `batch_size` n counts as n requests of one row",
        npuserve="as one request of n rows; executions and inferences count the same",
        reason="the batch is one, whatever the scheduler does",
        calls=("statistics/statistics of queued *",),
        change=in_one_request,
    ),
    Difference(
        topic="warm-up with a batch that is too large",
        triton="the error once a row",
        npuserve="once",
        reason="is easier to read",
        calls=("control/load of overheated",),
        change=said_once,
    ),
    Difference(
        topic="`grpc.health.v1.Health/Watch`",
        triton="UNIMPLEMENTED",
        npuserve="there, for the server and for each model by name",
        reason="probes need not poll",
        proof="tests/unit/service/test_health.py",
    ),
    Difference(
        topic="server reflection",
        triton="UNIMPLEMENTED",
        npuserve="there, v1 and v1alpha",
        reason="grpcurl needs no proto files",
        proof="tests/conformance/test_reflection.py",
    ),
    Difference(
        topic="who may use shared memory",
        triton="every client, as long as the server serves",
        npuserve="clients of this machine (unix socket, 127.*, ::1); `--allow-client-shm`: all or none",
        reason="a remote client has no business in local memory",
        proof="tests/unit/service/test_regions.py",
    ),
    Difference(
        topic="trace setting `trace_rate` below 0",
        triton="taken as 4294967295",
        npuserve="refused: `value is out of range [ 0, 4294967295 ]`",
        reason="-1 is no rate",
        answers={
            "settings/trace: rate below 0, gRPC": {"code": "INVALID_ARGUMENT", "details": RATE_REFUSED},
            "settings/trace: rate below 0, HTTP": http_refused(400, RATE_REFUSED)({}),
        },
    ),
    Difference(
        topic="malformed HTTP requests",
        triton="some are answered, some end the connection without a word",
        npuserve="400 with what is wrong, 501 for an unknown transfer coding, and the connection is closed",
        reason="a proxy in front may read them otherwise: requests could be smuggled past it",
        answers={
            "http_heads/no host": _head_refused(400, "HTTP/1.1 without Host"),
            "http_heads/a space before a colon": _head_refused(400, "malformed header line"),
            "http_heads/a folded line": _head_refused(400, "malformed header line"),
            "http_heads/two lengths": _head_refused(400, "more than one Content-Length"),
            "http_heads/a length and chunks": _head_refused(400, "both Content-Length and Transfer-Encoding"),
            "http_heads/a chunk without a size": _head_refused(400, "malformed chunk size"),
            "http_heads/a transfer coding that is not chunked": _head_refused(
                501, "only the transfer coding chunked is known"
            ),
        },
    ),
    Difference(
        topic="size of an HTTP head",
        triton="a field of 20 kB ends the connection without a word; any number of fields",
        npuserve="32 KiB, 128 fields, then 431",
        reason="says what is wrong; fields cost memory",
        answers={
            "http_heads/fields without number": _head_refused(431, "too many header fields"),
            "http_heads/a field of 20 kB": {"status": 200, "headers": {}, "body": {"text": ""}},
            "http_heads/a field of 100 kB": _head_refused(431, "the request head is too large"),
        },
    ),
    Difference(
        topic="names of forwarded HTTP headers",
        triton="as the client wrote them",
        npuserve="in lower case, as those of gRPC are in both",
        reason="names of headers carry no case; proxies change it",
        calls=("access/forwarded over HTTP: {'X-Tenant': 'blue'}",),
        change=with_data('{"x-tenant": "blue"}'),
    ),
    Difference(
        topic="a JSON member twice",
        triton="the first counts",
        npuserve="the last counts",
        reason="as in most JSON libraries",
        calls=("http/id twice",),
        change=with_id("first"),
    ),
    Difference(
        topic="a JSON number beyond FP64",
        triton="500 `Number too big to be stored in double`",
        npuserve="infinity, as a number beyond FP32 is for FP32 in both",
        reason="one rule for both",
        answers={"http/a number beyond FP64": INFINITE},
    ),
    Difference(
        topic="an idle `ModelStreamInfer` at shutdown",
        triton="stays open until the process ends; keeps it from ending",
        npuserve="ended: UNAVAILABLE, `shutting down`",
        reason="the client can go elsewhere at once",
        proof="tests/conformance/test_stream_shutdown.py",
    ),
    Difference(
        topic="HTTP at shutdown",
        triton="new connections are closed, open ones served, idle ones waited for until the time is over",
        npuserve="503 `Server exiting` and `Connection: close`, for health too; idle connections are closed",
        reason="probes see it, clients go elsewhere, the server ends when its work is done",
        proof="tests/unit/transport/test_http.py",
    ),
    Difference(
        topic="a second SIGTERM or SIGINT",
        triton="without effect",
        npuserve="ends the server at once, exit code 1",
        reason="who asks twice does not want to wait",
        proof="tests/conformance/test_lifecycle.py",
    ),
    Difference(
        topic="metrics of pinned memory",
        triton="the pool of `--pinned-memory-pool-byte-size`",
        npuserve="0: there is no such pool",
        reason="the flag is accepted and without effect",
        calls=("metrics/pinned memory",),
        change=no_pool,
    ),
    Difference(
        topic="`nv_inference_first_response_histogram_ms`",
        triton="of decoupled models",
        npuserve="of all models, as later releases have it",
        reason="later releases do",
        proof="tests/unit/observability/test_latencies.py",
    ),
    Difference(
        topic="quantiles of the summaries of latencies",
        triton="of the last minute; NaN if it was quiet",
        npuserve="of the last 1024 requests of the model version",
        reason="a quiet minute does not blank a dashboard",
        proof="tests/unit/observability/test_latencies.py",
    ),
    Difference(
        topic="metrics of devices",
        triton="`nv_gpu_*`",
        npuserve="`npu_*`; and of batches and their work ([scheduling.md](scheduling.md#accounting))",
        reason="the devices are others",
        proof="tests/unit/observability/test_metrics.py",
    ),
)
