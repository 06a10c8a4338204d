# distutils: language = c++
"""The wire for one event loop: asyncio's face of native/wire. Nothing here waits, and nothing decides.

Bytes come in through the protocol of each connection, completions through one eventfd, time through one timer. After
each of them `_settle` hands the handlers' calls to Python and writes what the touched connections have to send.
A ModelInfer with a route is answered within: Python pays per wake-up, not per request.
"""

import asyncio

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_IsValid
from cython.operator cimport dereference as deref
from libc.stdint cimport int64_t, uint64_t
from libcpp cimport bool as cpp_bool
from libcpp.memory cimport make_shared, shared_ptr, unique_ptr
from libcpp.optional cimport optional
from libcpp.string cimport string
from libcpp.utility cimport pair
from libcpp.vector cimport vector

# One read of a socket, shared by all connections: it is consumed before the next.
READ_BYTES = 256 * 1024
cdef size_t WRITE_BYTES = 256 * 1024


_MIRROR_KINDS = {
    "mirrored": MirrorKind.kMirrored,
    "sequence": MirrorKind.kSequence,
    "decoupled": MirrorKind.kDecoupled,
}

include "regions.pxi"
include "routes.pxi"
include "loop_endpoint.pxi"


cdef class Endpoint(_LoopEndpoint):
    cdef unique_ptr[CEndpoint] _endpoint
    cdef object _may_share

    def __init__(self, Limits limits, dispatch, *, on_failure, str infer_path, int response_compression_level=0):
        self._endpoint.reset(new CEndpoint(limits._limits, infer_path.encode(), response_compression_level))
        self._driven = self._endpoint.get()
        self._max_connections = limits._limits.max_connections
        self._max_unsent_bytes = limits._limits.max_unsent_bytes
        self._dispatch = dispatch
        self._on_failure = on_failure

    def __dealloc__(self):
        # Waits for requests that are being executed.
        with nogil:
            self._endpoint.reset()

    def __repr__(self):
        return f"<Endpoint connections={self.connections} open_calls={self.open_calls}>"

    def protocol(self):
        return Protocol(self)

    def share_regions(self, SharedRegions regions, may_share):
        self._may_share = may_share
        deref(self._endpoint).share_regions(<shared_ptr[const CSharedRegions]>regions._regions)

    def mirror(self, int ring, *, double share, size_t most_bytes):
        cdef MirrorOptions options
        options.ring_file = ring
        options.share = share
        options.most_bytes = most_bytes
        deref(self._endpoint).mirror(options)

    def set_mirrored(self, models):
        cdef MirroredModels native
        if deref(self._endpoint).mirrored() is NULL:
            raise ValueError("nothing is mirrored yet")
        for name, kind in models.items():
            native[name.encode()] = _MIRROR_KINDS[kind]
        deref(self._endpoint).mirrored().set_models(native)

    def refuse_new_calls(self, int code, str message):
        deref(self._endpoint).refuse_new_calls(Status(<StatusCode>code, message.encode()))
        self._settle(steady_now_ns())

    def wait_until_no_calls(self):
        return self._wait_until_quiet()

    @property
    def open_calls(self):
        return deref(self._endpoint).open_calls()

    cdef _handle_events(self):
        cdef HandlerEvent event
        while deref(self._endpoint).next_handler_event(event):
            self._handle(event)

    cdef _handle(self, HandlerEvent event):
        cdef ServerCall call
        if event.kind == Kind.kStarted:
            call = ServerCall.__new__(ServerCall)
            if not call._open(self, event.token):
                return
            self._calls[event.token] = call
            self._dispatch(call)
            return
        found = self._calls.get(event.token)
        if found is None:
            return
        call = <ServerCall>found
        if event.kind == Kind.kEnded:
            del self._calls[event.token]
            call.ended = True
        else:
            call.half_closed = deref(self._endpoint).half_closed(event.token)
        call._changed()


cdef class _Connection(_LoopConnection):
    cdef Endpoint _endpoint
    cdef set _sending

    def __init__(self, Endpoint endpoint):
        _LoopConnection.__init__(self, endpoint)
        self._endpoint = endpoint
        self._sending = set()

    def connection_made(self, transport):
        tls = transport.get_extra_info("ssl_object")
        if tls is not None and tls.selected_alpn_protocol() != "h2":
            transport.abort()
            return
        _LoopConnection.connection_made(self, transport)

    cdef uint64_t _open(self, int64_t now_ns) except 0:
        may_share = self._endpoint._may_share
        return deref(self._endpoint._endpoint).open(now_ns, may_share is not None and may_share(self.peer))

    cdef _flush(self, int64_t now_ns):
        cdef CConnection* connection = deref(self._endpoint._endpoint).find(self._id)
        if connection is NULL or self._transport is None:
            return
        while self._writable and connection.wants_write():
            if not self._write_piece(now_ns):
                break
        if connection.aborted():
            self._transport.abort()
        elif connection.finished() and not connection.wants_write():
            self._transport.close()
        if self._sending:
            self._tell_senders()

    cdef _tell_senders(self):
        cdef ServerCall call
        for call in tuple(self._sending):
            if call.ended or call.unsent_bytes == 0:
                self._sending.discard(call)
                call._changed()


class Protocol(_Connection, asyncio.BufferedProtocol):
    """A cdef class can have no base in Python, and transports ask for this one."""

    __slots__ = ()


cdef class ServerCall:
    cdef Endpoint _endpoint
    cdef uint64_t _token
    cdef cpp_bool _finished
    cdef public object listener
    cdef readonly str path
    cdef readonly tuple metadata
    cdef readonly object deadline
    cdef readonly str peer
    cdef readonly bint half_closed
    cdef readonly bint ended

    cdef cpp_bool _open(self, Endpoint endpoint, uint64_t token):
        cdef const CallHead* head = deref(endpoint._endpoint).head(token)
        cdef size_t i
        if head is NULL:
            return False
        self._endpoint = endpoint
        self._token = token
        self.path = head.path.decode("utf-8", "replace")
        self.metadata = tuple(
            [_field(head.metadata[i].first, head.metadata[i].second) for i in range(head.metadata.size())]
        )
        self.deadline = None if head.deadline_ns == NEVER else head.deadline_ns / 1e9
        self.half_closed = deref(endpoint._endpoint).half_closed(token)
        self.peer = endpoint._protocols[connection_of(token)].peer
        return True

    def __repr__(self):
        return f"<ServerCall {self.path}>"

    @property
    def unsent_bytes(self):
        return 0 if self.ended else deref(self._endpoint._endpoint).unsent_bytes(self._token)

    def take_message(self):
        cdef const Buffer* message = deref(self._endpoint._endpoint).front_message(self._token)
        if message is NULL:
            return None
        taken = PyBytes_FromStringAndSize(<const char*>message.data(), message.size())
        deref(self._endpoint._endpoint).pop_message(self._token)
        self._endpoint._settle(steady_now_ns())
        return taken

    def send(self, bytes message, *, cpp_bool more=False):
        if self.ended or self._finished:
            return
        cdef int64_t now_ns = steady_now_ns()
        cdef const char* data = message
        cdef uint64_t connection = connection_of(self._token)
        deref(self._endpoint._endpoint).send(self._token, ByteSpan(<const byte*>data, len(message)), now_ns)
        (<_Connection>self._endpoint._protocols[connection])._sending.add(self)
        if not more:
            self._endpoint._settle(now_ns)

    def finish(self, int code, str message, trailing=()):
        if self.ended or self._finished:
            return
        cdef vector[pair[string, string]] native
        cdef int64_t now_ns = steady_now_ns()
        for key, value in trailing:
            native.push_back(pair[string, string](key.encode(), value if isinstance(value, bytes) else value.encode()))
        self._finished = True
        self.listener = None
        self._endpoint._calls.pop(self._token, None)
        cdef Status status = Status(<StatusCode>code, message.encode("utf-8", "replace"))
        deref(self._endpoint._endpoint).finish(self._token, status, native, now_ns)
        self._endpoint._settle(now_ns)

    cdef _changed(self):
        if self.listener is not None:
            self.listener()


cdef str _text(string_view text):
    return PyBytes_FromStringAndSize(text.data(), text.size()).decode()


cdef tuple _finished(const ObservedRequest& request):
    cdef const Timing* t = &request.timing
    timing = None
    if t.batch_id != 0:
        timing = (t.batch_id, t.gear, t.batch_rows, t.arrival_ns, t.start_ns, t.gathered_ns, t.h2d_end_ns,
                  t.execute_end_ns, t.d2h_end_ns, t.scattered_ns)
    return (request.model.decode(), request.version.decode(), request.id.decode(), <int>request.status.code(),
            request.status.message().decode("utf-8", "replace"), request.started_ns, request.ended_ns, timing,
            request.trace_parent.decode("utf-8", "replace"))


cdef tuple _field(const string& key, const string& value):
    name = key.decode()
    return name, value if name.endswith("-bin") else value.decode("utf-8", "replace")


cdef _wake(list waiters):
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)
    waiters.clear()


def _peer(address):
    """Return an address as gRPC writes it; an IPv4 client of a dual-stack socket is an IPv4 client."""
    if not isinstance(address, tuple):
        return f"unix:{address.decode() if isinstance(address, bytes) else address or ''}"
    host, port = address[:2]
    if host.startswith("::ffff:") and "." in host:
        host = host.removeprefix("::ffff:")
    return f"ipv6:[{host}]:{port}" if ":" in host else f"ipv4:{host}:{port}"


include "http.pxi"
