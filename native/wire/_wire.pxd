"""What _wire.pyx uses of native/wire and native/core."""

from libc.stdint cimport int32_t, int64_t, uint64_t
from libcpp cimport bool as cpp_bool
from libcpp.memory cimport shared_ptr, unique_ptr
from libcpp.optional cimport optional
from libcpp.string cimport string
from libcpp.utility cimport pair
from libcpp.vector cimport vector

cdef extern from "<cstddef>" namespace "std":
    ctypedef struct byte:
        pass

cdef extern from "<span>" namespace "std":
    cdef cppclass ByteSpan "std::span<const std::byte>":
        ByteSpan(const byte*, size_t) noexcept nogil

cdef extern from "<string_view>" namespace "std":
    cdef cppclass string_view:
        string_view(const char*, size_t)
        const char* data()
        size_t size()

cdef extern from "core/clock.h" namespace "npuserve::core":
    int64_t steady_now_ns() noexcept nogil

cdef extern from "core/dtype.h" namespace "npuserve::core":
    cdef enum class Dtype:
        pass
    optional[Dtype] dtype_from_name(string_view)

cdef extern from "core/status.h" namespace "npuserve::core":
    cdef enum class StatusCode(int):
        pass
    cdef cppclass Status:
        Status()
        Status(StatusCode, string)
        StatusCode code()
        const string& message()

cdef extern from "core/timing.h" namespace "npuserve::core":
    cdef cppclass Timing:
        uint64_t batch_id
        size_t gear
        int64_t batch_rows
        int64_t arrival_ns
        int64_t start_ns
        int64_t gathered_ns
        int64_t h2d_end_ns
        int64_t execute_end_ns
        int64_t d2h_end_ns
        int64_t scattered_ns

cdef extern from "core/sink.h" namespace "npuserve::core":
    const char* SINK_CAPSULE "npuserve::core::kSinkCapsule"
    cdef cppclass Sink:
        pass

cdef extern from "wire/limits.h" namespace "npuserve::wire":
    cdef cppclass CLimits "npuserve::wire::Limits":
        size_t max_connections
        size_t max_unsent_bytes
    cdef cppclass LimitField:
        string_view name
        int64_t least
        int64_t most
        int64_t (*get)(const CLimits&)
        void (*set)(CLimits&, int64_t)
    cdef cppclass LimitFields "std::span<const npuserve::wire::LimitField>":
        size_t size()
        const LimitField& operator[](size_t)
    LimitFields limit_fields()

cdef extern from "wire/model_interface.h" namespace "npuserve::wire":
    cdef cppclass CDeclaredTensor "npuserve::wire::DeclaredTensor":
        string name
        Dtype dtype
        vector[int64_t] dims
        vector[int64_t] model_dims
        optional[Dtype] model_dtype
    cdef cppclass ModelInterface:
        string name
        string version
        int64_t max_batch_size
        vector[CDeclaredTensor] inputs
        vector[size_t] input_positions
        vector[CDeclaredTensor] outputs
        cpp_bool converts_integers

cdef extern from "wire/integer_conversion.h" namespace "npuserve::wire":
    cpp_bool is_convertible(Dtype, Dtype)

cdef extern from "wire/infer_call.h" namespace "npuserve::wire":
    cdef cppclass InferTarget:
        ModelInterface model
        shared_ptr[Sink] sink

cdef extern from "wire/infer_routes.h" namespace "npuserve::wire":
    cdef cppclass CRoute "npuserve::wire::Route":
        string name
        string asked_version
        shared_ptr[const InferTarget] target

cdef extern from "wire/buffer.h" namespace "npuserve::wire":
    cdef cppclass Buffer:
        const byte* data()
        size_t size()

cdef extern from "wire/call_head.h" namespace "npuserve::wire":
    const int64_t NEVER "npuserve::wire::kNever"
    cdef cppclass CallHead:
        string path
        vector[pair[string, string]] metadata
        int64_t deadline_ns

cdef extern from "wire/connection.h" namespace "npuserve::wire":
    cdef cppclass CConnection "npuserve::wire::Connection":
        cpp_bool wants_write()
        cpp_bool finished()
        cpp_bool aborted()

cdef extern from "wire/memory_budget.h" namespace "npuserve::wire":
    cdef cppclass MemoryBudget:
        size_t used_bytes()

cdef extern from "wire/observation.h" namespace "npuserve::wire":
    cdef cppclass ObservedRequest:
        string model
        string version
        string id
        Status status
        int64_t started_ns
        int64_t ended_ns
        Timing timing
        string trace_parent
    cdef cppclass Observation:
        void ask_for(cpp_bool, int64_t)
        cpp_bool empty()
        cpp_bool next(ObservedRequest&) except +

cdef extern from "wire/shared_regions.h" namespace "npuserve::wire":
    cdef cppclass BorrowedMemory:
        pass
    cdef cppclass CSharedRegions "npuserve::wire::SharedRegions":
        cpp_bool add(string, int, uint64_t, BorrowedMemory) except +
        void remove(string_view)

cdef extern from "wire/mirror.h" namespace "npuserve::wire":
    cdef enum class MirrorKind:
        kMirrored
        kSequence
        kDecoupled
    cdef cppclass MirroredModels:
        MirrorKind& operator[](string) except +
    cdef cppclass MirrorOptions:
        int ring_file
        double share
        size_t most_bytes
    cdef cppclass CMirror "npuserve::wire::Mirror":
        void set_models(MirroredModels)

cdef extern from "wire/loop_endpoint.h" namespace "npuserve::wire":
    cdef cppclass Failure:
        string model
        string message
    cdef cppclass CLoopEndpoint "npuserve::wire::LoopEndpoint":
        const MemoryBudget& budget()
        int file_descriptor()
        void set_routes(const vector[CRoute]&) except +
        void shut_down(int64_t) except +
        void receive(uint64_t, ByteSpan, int64_t) except + nogil
        void set_writable(uint64_t, cpp_bool, int64_t) except +
        void take_output(uint64_t, string&, size_t, int64_t) except + nogil
        void close(uint64_t, int64_t) except +
        size_t connections()
        void take_touched(vector[uint64_t]&)
        void advance(int64_t) except + nogil
        int64_t next_wake_ns()
        cpp_bool has_gathered()
        void submit_gathered() except + nogil
        void deliver(int64_t) except + nogil
        cpp_bool next_failure(Failure&)
        Observation& observation()
        void grant_waiting(int64_t) except +
        cpp_bool is_quiet()

cdef extern from "wire/endpoint.h" namespace "npuserve::wire":
    cdef enum class Kind "npuserve::wire::HandlerEvent::Kind":
        kStarted
        kChanged
        kEnded
    cdef cppclass HandlerEvent:
        Kind kind
        uint64_t token
    uint64_t connection_of(uint64_t)
    cdef cppclass CEndpoint "npuserve::wire::Endpoint" (CLoopEndpoint):
        CEndpoint(const CLimits&, string, int) except +
        void share_regions(shared_ptr[const CSharedRegions])
        void mirror(const MirrorOptions&) except +
        CMirror* mirrored()
        void refuse_new_calls(Status) except +
        uint64_t open(int64_t, cpp_bool) except +
        CConnection* find(uint64_t)
        cpp_bool next_handler_event(HandlerEvent&)
        const CallHead* head(uint64_t)
        cpp_bool half_closed(uint64_t)
        const Buffer* front_message(uint64_t)
        void pop_message(uint64_t) except +
        void send(uint64_t, ByteSpan, int64_t) except +
        void finish(uint64_t, const Status&, const vector[pair[string, string]]&, int64_t) except +
        size_t unsent_bytes(uint64_t)
        size_t open_calls()

cdef extern from "wire/http_limits.h" namespace "npuserve::wire":
    cdef cppclass CHttpLimits "npuserve::wire::HttpLimits":
        size_t max_connections
        size_t max_unsent_bytes
    cdef cppclass HttpLimitField:
        string_view name
        int64_t least
        int64_t most
        int64_t (*get)(const CHttpLimits&)
        void (*set)(CHttpLimits&, int64_t)
    cdef cppclass HttpLimitFields "std::span<const npuserve::wire::HttpLimitField>":
        size_t size()
        const HttpLimitField& operator[](size_t)
    HttpLimitFields http_limit_fields()

cdef extern from "wire/http_head.h" namespace "npuserve::wire":
    cdef cppclass HttpField:
        string_view name
        string_view value
    cdef cppclass HttpHead:
        string_view method
        string_view path
        vector[HttpField] fields

cdef extern from "wire/http_answer.h" namespace "npuserve::wire":
    cpp_bool may_be_given(string_view, string_view)

cdef extern from "wire/http_connection.h" namespace "npuserve::wire":
    cdef cppclass CHttpConnection "npuserve::wire::HttpConnection":
        cpp_bool wants_read()
        cpp_bool wants_write()
        cpp_bool finished()
        cpp_bool lingers()
        cpp_bool aborted()
        cpp_bool has_request()
        const HttpHead& head()
        const Buffer& body()
        void forget_body_bytes()
        size_t unsent_bytes()

cdef extern from "wire/http_endpoint.h" namespace "npuserve::wire":
    cdef enum class HttpKind "npuserve::wire::HttpEvent::Kind":
        kStarted
        kEnded
    cdef cppclass HttpEvent:
        HttpKind kind
        uint64_t connection
    cdef cppclass CHttpEndpoint "npuserve::wire::HttpEndpoint" (CLoopEndpoint):
        CHttpEndpoint(const CHttpLimits&) except +
        void refuse_new_requests(int, string, int64_t) except +
        uint64_t open(int64_t) except +
        CHttpConnection* find(uint64_t)
        cpp_bool next_event(HttpEvent&)
        void respond(uint64_t, int, const vector[pair[string, string]]&, ByteSpan, int64_t) except +
        void start_stream(uint64_t, int, const vector[pair[string, string]]&, int64_t) except +
        void send(uint64_t, ByteSpan, int64_t) except +
        void end_stream(uint64_t, int64_t) except +
        size_t open_requests()
