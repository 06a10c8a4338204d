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


include "regions.pxi"
include "routes.pxi"


cdef class Endpoint:
    cdef unique_ptr[CEndpoint] _endpoint
    cdef CLimits _limits
    cdef object _dispatch
    cdef object _on_failure
    cdef object _on_finished
    cdef object _may_share
    cdef object _loop
    cdef object _timer
    cdef int64_t _timer_ns
    cdef bytearray _read_buffer
    cdef object _read_view
    cdef string _output
    cdef vector[uint64_t] _touched
    cdef dict _protocols
    cdef dict _calls
    cdef list _quiet_waiters
    cdef list _empty_waiters
    cdef cpp_bool _settling
    cdef cpp_bool _will_submit
    cdef object __weakref__

    def __init__(self, Limits limits, dispatch, *, on_failure, str infer_path, int response_compression_level=0):
        self._limits = limits._limits
        self._endpoint.reset(new CEndpoint(limits._limits, infer_path.encode(), response_compression_level))
        self._dispatch = dispatch
        self._on_failure = on_failure
        self._timer_ns = NEVER
        self._read_buffer = bytearray(READ_BYTES)
        # Transports slice what get_buffer gives them: a slice of the bytearray itself would be a copy.
        self._read_view = memoryview(self._read_buffer)
        self._protocols = {}
        self._calls = {}
        self._quiet_waiters = []
        self._empty_waiters = []

    def __dealloc__(self):
        # Waits for requests that are being executed.
        with nogil:
            self._endpoint.reset()

    def __repr__(self):
        return f"<Endpoint connections={self.connections} open_calls={self.open_calls}>"

    def start(self, loop):
        self._loop = loop
        loop.add_reader(deref(self._endpoint).file_descriptor(), self._deliver)

    def close(self):
        if self._loop is None:
            return
        self._loop.remove_reader(deref(self._endpoint).file_descriptor())
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop = None
        deref(self._endpoint).deliver(steady_now_ns())

    def protocol(self):
        return Protocol(self)

    def set_routes(self, routes):
        cdef vector[CRoute] native
        cdef Route route
        for route in routes:
            native.push_back(route._route)
        deref(self._endpoint).set_routes(native)

    def share_regions(self, SharedRegions regions, may_share):
        self._may_share = may_share
        deref(self._endpoint).share_regions(<shared_ptr[const CSharedRegions]>regions._regions)

    def observe(self, *, cpp_bool wants_all, int64_t slow_ns, on_finished):
        self._on_finished = on_finished
        deref(self._endpoint).observation().ask_for(wants_all, slow_ns)

    def refuse_new_calls(self, int code, str message):
        deref(self._endpoint).refuse_new_calls(Status(<StatusCode>code, message.encode()))
        self._settle(steady_now_ns())

    def shut_down(self):
        cdef int64_t now_ns = steady_now_ns()
        deref(self._endpoint).shut_down(now_ns)
        self._settle(now_ns)

    def abort(self):
        for protocol in list(self._protocols.values()):
            protocol.abort()

    async def wait_until_no_calls(self):
        while not deref(self._endpoint).is_quiet():
            waiter = self._loop.create_future()
            self._quiet_waiters.append(waiter)
            await waiter

    async def wait_until_no_connections(self):
        while self._protocols:
            waiter = self._loop.create_future()
            self._empty_waiters.append(waiter)
            await waiter

    @property
    def open_calls(self):
        return deref(self._endpoint).open_calls()

    @property
    def connections(self):
        return len(self._protocols)

    @property
    def used_memory_bytes(self):
        return deref(self._endpoint).budget().used_bytes()

    # --- What the loop calls.

    def _deliver(self):
        cdef int64_t now_ns = steady_now_ns()
        cdef Failure failure
        with nogil:
            deref(self._endpoint).deliver(now_ns)
        self._settle(now_ns)
        while deref(self._endpoint).next_failure(failure):
            self._on_failure(failure.model.decode("utf-8", "replace"), failure.message.decode("utf-8", "replace"))

    def _submit(self):
        self._will_submit = False
        with nogil:
            deref(self._endpoint).submit_gathered()

    def _on_timer(self):
        cdef int64_t now_ns = steady_now_ns()
        self._timer = None
        self._timer_ns = NEVER
        with nogil:
            deref(self._endpoint).advance(now_ns)
        self._settle(now_ns)

    cdef _settle(self, int64_t now_ns):
        # Handlers that answer at once come back here from within; the outer round goes on with what they left.
        if self._settling:
            return
        self._settling = True
        cdef HandlerEvent event
        cdef uint64_t connection
        try:
            while True:
                while deref(self._endpoint).next_handler_event(event):
                    self._handle(event)
                deref(self._endpoint).grant_waiting(now_ns)
                deref(self._endpoint).take_touched(self._touched)
                if self._touched.empty():
                    break
                for connection in self._touched:
                    protocol = self._protocols.get(connection)
                    if protocol is not None:
                        self._flush(protocol, now_ns)
        finally:
            self._settling = False
        self._arm(now_ns)
        if deref(self._endpoint).has_gathered() and not self._will_submit and self._loop is not None:
            # In the loop's next round, when what was readable in this one has been read.
            self._will_submit = True
            self._loop.call_soon(self._submit)
        if not deref(self._endpoint).observation().empty():
            self._tell()
        if self._quiet_waiters and deref(self._endpoint).is_quiet():
            _wake(self._quiet_waiters)

    cdef _tell(self):
        cdef ObservedRequest request
        finished = []
        while deref(self._endpoint).observation().next(request):
            finished.append(_finished(request))
        try:
            self._on_finished(finished)
        except Exception as error:
            # Whoever watches is no part of the answers: no connection is lost for it.
            self._loop.call_exception_handler({"message": "an observer of requests failed", "exception": error})

    cdef _flush(self, _Connection protocol, int64_t now_ns):
        try:
            protocol._flush(now_ns)
        except Exception as error:
            # What was sent may end within a frame: this connection is lost, and the others still get their answers.
            self._loop.call_exception_handler(
                {"message": "a connection could not be written to", "exception": error, "protocol": protocol}
            )
            protocol.abort()

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

    cdef _arm(self, int64_t now_ns):
        cdef int64_t wake_ns = deref(self._endpoint).next_wake_ns()
        if wake_ns >= self._timer_ns or self._loop is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_ns = wake_ns
        # Loops count in milliseconds: a little late, never early and again.
        delay_ns = max(wake_ns - now_ns, 0) + 1_000_000
        self._timer = self._loop.call_later(delay_ns / 1e9, self._on_timer)


cdef class _Connection:
    """One connection's transport. Its calls and its bytes are the endpoint's."""

    cdef Endpoint _endpoint
    cdef object _transport
    cdef object _write
    cdef uint64_t _id
    cdef cpp_bool _writable
    cdef set _sending
    cdef public str peer

    def __init__(self, Endpoint endpoint):
        self._endpoint = endpoint
        self._writable = True
        self._sending = set()
        self.peer = ""

    def connection_made(self, transport):
        tls = transport.get_extra_info("ssl_object")
        if tls is not None and tls.selected_alpn_protocol() != "h2":
            transport.abort()
            return
        if deref(self._endpoint._endpoint).connections() >= self._endpoint._limits.max_connections:
            transport.abort()
            return
        cdef int64_t now_ns = steady_now_ns()
        self._transport = transport
        self._write = transport.write
        transport.set_write_buffer_limits(high=self._endpoint._limits.max_unsent_bytes)
        self.peer = _peer(transport.get_extra_info("peername"))
        may_share = self._endpoint._may_share
        self._id = deref(self._endpoint._endpoint).open(now_ns, may_share is not None and may_share(self.peer))
        self._endpoint._protocols[self._id] = self
        self._endpoint._settle(now_ns)

    def get_buffer(self, sizehint):
        return self._endpoint._read_view

    def buffer_updated(self, size_t size):
        cdef int64_t now_ns = steady_now_ns()
        cdef const char* data = self._endpoint._read_buffer
        with nogil:
            deref(self._endpoint._endpoint).receive(self._id, ByteSpan(<const byte*>data, size), now_ns)
        self._endpoint._settle(now_ns)

    def eof_received(self):
        return False

    def pause_writing(self):
        self._set_writable(False)

    def resume_writing(self):
        self._set_writable(True)

    cdef _set_writable(self, cpp_bool writable):
        cdef int64_t now_ns = steady_now_ns()
        self._writable = writable
        deref(self._endpoint._endpoint).set_writable(self._id, writable, now_ns)
        self._endpoint._settle(now_ns)

    def connection_lost(self, error):
        if self._transport is None:
            return
        cdef int64_t now_ns = steady_now_ns()
        self._transport = self._write = None
        deref(self._endpoint._endpoint).close(self._id, now_ns)
        del self._endpoint._protocols[self._id]
        self._endpoint._settle(now_ns)
        if not self._endpoint._protocols:
            _wake(self._endpoint._empty_waiters)

    def abort(self):
        if self._transport is not None:
            self._transport.abort()

    cdef _flush(self, int64_t now_ns):
        cdef CConnection* connection = deref(self._endpoint._endpoint).find(self._id)
        cdef string* output = &self._endpoint._output
        if connection is NULL or self._transport is None:
            return
        while self._writable and connection.wants_write():
            output.clear()
            deref(self._endpoint._endpoint).take_output(self._id, deref(output), WRITE_BYTES, now_ns)
            if output.empty():
                break
            self._write(PyBytes_FromStringAndSize(output.data(), output.size()))
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
