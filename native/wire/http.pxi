# HTTP for one event loop: asyncio's face of native/wire/http_*. Included by _wire.pyx, whose routes it shares.

cdef class HttpLimits:
    cdef CHttpLimits _limits

    def __init__(self, **limits):
        for name, value in limits.items():
            self._set(name, value)

    cdef _set(self, str name, int64_t value):
        cdef HttpLimitFields fields = http_limit_fields()
        cdef size_t i
        for i in range(fields.size()):
            if _text(fields[i].name) != name:
                continue
            if not fields[i].least <= value <= fields[i].most:
                raise ValueError(f"{name} must be in range [{fields[i].least}, {fields[i].most}], got {value}")
            fields[i].set(self._limits, value)
            return
        raise TypeError(f"there is no limit '{name}'")

    def as_dict(self):
        cdef HttpLimitFields fields = http_limit_fields()
        cdef size_t i
        return {_text(fields[i].name): fields[i].get(self._limits) for i in range(fields.size())}


cdef class HttpEndpoint:
    cdef unique_ptr[CHttpEndpoint] _endpoint
    cdef CHttpLimits _limits
    cdef object _dispatch
    cdef object _on_failure
    cdef object _on_finished
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

    def __init__(self, HttpLimits limits, dispatch, *, on_failure):
        self._limits = limits._limits
        self._endpoint.reset(new CHttpEndpoint(limits._limits))
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
        return f"<HttpEndpoint connections={self.connections} open_requests={self.open_requests}>"

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
        return HttpProtocol(self)

    def set_routes(self, routes):
        cdef vector[CRoute] native
        cdef Route route
        for route in routes:
            native.push_back(route._route)
        deref(self._endpoint).set_routes(native)

    def observe(self, *, cpp_bool wants_all, int64_t slow_ns, on_finished):
        self._on_finished = on_finished
        deref(self._endpoint).observation().ask_for(wants_all, slow_ns)

    def refuse_new_requests(self, int status, str message):
        cdef int64_t now_ns = steady_now_ns()
        deref(self._endpoint).refuse_new_requests(status, message.encode(), now_ns)
        self._settle(now_ns)

    def shut_down(self):
        cdef int64_t now_ns = steady_now_ns()
        deref(self._endpoint).shut_down(now_ns)
        self._settle(now_ns)

    def abort(self):
        for protocol in list(self._protocols.values()):
            protocol.abort()

    async def wait_until_no_requests(self):
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
    def open_requests(self):
        return deref(self._endpoint).open_requests()

    @property
    def connections(self):
        return len(self._protocols)

    @property
    def used_memory_bytes(self):
        return deref(self._endpoint).budget().used_bytes()

    # --- What the loop calls.

    def _deliver(self):
        cdef int64_t now_ns = steady_now_ns()
        cdef HttpFailure failure
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
        cdef HttpEvent event
        cdef uint64_t connection
        try:
            while True:
                while deref(self._endpoint).next_event(event):
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

    cdef _flush(self, _HttpConnection protocol, int64_t now_ns):
        try:
            protocol._flush(now_ns)
        except Exception as error:
            # What was sent may end within an answer: this connection is lost, and the others still get theirs.
            self._loop.call_exception_handler(
                {"message": "a connection could not be written to", "exception": error, "protocol": protocol}
            )
            protocol.abort()

    cdef _handle(self, HttpEvent event):
        cdef HttpCall call
        if event.kind == HttpKind.kStarted:
            call = HttpCall.__new__(HttpCall)
            if call._open(self, event.connection):
                self._calls[event.connection] = call
                self._dispatch(call)
            return
        found = self._calls.pop(event.connection, None)
        if found is None:
            return
        call = <HttpCall>found
        call.ended = True
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


cdef class _HttpConnection:
    """One connection's transport. Its requests and its bytes are the endpoint's."""

    cdef HttpEndpoint _endpoint
    cdef object _transport
    cdef object _write
    cdef uint64_t _id
    cdef cpp_bool _writable
    cdef cpp_bool _reading
    cdef cpp_bool _said_end
    cdef public str peer

    def __init__(self, HttpEndpoint endpoint):
        self._endpoint = endpoint
        self._writable = self._reading = True
        self.peer = ""

    def connection_made(self, transport):
        if deref(self._endpoint._endpoint).connections() >= self._endpoint._limits.max_connections:
            transport.abort()
            return
        cdef int64_t now_ns = steady_now_ns()
        self._transport = transport
        self._write = transport.write
        transport.set_write_buffer_limits(high=self._endpoint._limits.max_unsent_bytes)
        self.peer = _peer(transport.get_extra_info("peername"))
        self._id = deref(self._endpoint._endpoint).open(now_ns)
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
        cdef CHttpConnection* connection = deref(self._endpoint._endpoint).find(self._id)
        cdef string* output = &self._endpoint._output
        if connection is NULL or self._transport is None:
            return
        cdef cpp_bool sent = connection.wants_write()
        while self._writable and connection.wants_write():
            output.clear()
            deref(self._endpoint._endpoint).take_output(self._id, deref(output), WRITE_BYTES, now_ns)
            self._write(PyBytes_FromStringAndSize(output.data(), output.size()))
        if connection.aborted():
            self._transport.abort()
        elif connection.finished() and not connection.wants_write():
            self._end(connection.lingers())
        elif connection.wants_read() != self._reading:
            self._set_reading(connection.wants_read())
        if sent:
            self._tell_sender()

    cdef _end(self, cpp_bool lingers):
        if not lingers:
            self._transport.close()
        elif not self._said_end and not self._transport.is_closing():
            self._said_end = True
            if not self._reading:
                self._set_reading(True)
            self._transport.write_eof()

    cdef _set_reading(self, cpp_bool reading):
        if self._transport.is_closing():
            return
        self._reading = reading
        if reading:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    cdef _tell_sender(self):
        call = self._endpoint._calls.get(self._id)
        if call is not None and call.unsent_bytes == 0:
            (<HttpCall>call)._changed()


class HttpProtocol(_HttpConnection, asyncio.BufferedProtocol):
    """A cdef class can have no base in Python, and transports ask for this one."""

    __slots__ = ()


cdef class HttpCall:
    cdef HttpEndpoint _endpoint
    cdef uint64_t _connection
    cdef cpp_bool _answered
    cdef public object listener
    cdef readonly str method
    cdef readonly str path
    cdef readonly dict headers
    cdef readonly bytes body
    cdef readonly str peer
    cdef readonly bint ended

    cdef cpp_bool _open(self, HttpEndpoint endpoint, uint64_t id):
        cdef CHttpConnection* connection = deref(endpoint._endpoint).find(id)
        if connection is NULL or not connection.has_request():
            return False
        self._endpoint = endpoint
        self._connection = id
        self.method = _latin(connection.head().method)
        self.path = _latin(connection.head().path)
        self.headers = _headers(connection.head().fields)
        cdef const Buffer* body = &connection.body()
        self.body = PyBytes_FromStringAndSize(<const char*>body.data(), body.size())
        connection.forget_body_bytes()
        self.peer = endpoint._protocols[id].peer
        return True

    def __repr__(self):
        return f"<HttpCall {self.method} {self.path}>"

    @property
    def unsent_bytes(self):
        if self.ended or self._answered:
            return 0
        cdef CHttpConnection* connection = deref(self._endpoint._endpoint).find(self._connection)
        return 0 if connection is NULL else connection.unsent_bytes()

    def respond(self, int status, headers, bytes body):
        cdef vector[pair[string, string]] fields = _fields(headers)
        if self.ended or self._answered:
            return
        cdef int64_t now_ns = steady_now_ns()
        cdef const char* data = body
        self._finish()
        deref(self._endpoint._endpoint).respond(
            self._connection, status, fields, ByteSpan(<const byte*>data, len(body)), now_ns
        )
        self._endpoint._settle(now_ns)

    def start_stream(self, int status, headers):
        cdef vector[pair[string, string]] fields = _fields(headers)
        if self.ended or self._answered:
            return
        cdef int64_t now_ns = steady_now_ns()
        deref(self._endpoint._endpoint).start_stream(self._connection, status, fields, now_ns)
        self._endpoint._settle(now_ns)

    def send(self, bytes piece):
        if self.ended or self._answered:
            return
        cdef int64_t now_ns = steady_now_ns()
        cdef const char* data = piece
        deref(self._endpoint._endpoint).send(self._connection, ByteSpan(<const byte*>data, len(piece)), now_ns)
        self._endpoint._settle(now_ns)

    def end_stream(self):
        if self.ended or self._answered:
            return
        cdef int64_t now_ns = steady_now_ns()
        self._finish()
        deref(self._endpoint._endpoint).end_stream(self._connection, now_ns)
        self._endpoint._settle(now_ns)

    def abort(self):
        if not self.ended and not self._answered:
            self._endpoint._protocols[self._connection].abort()

    cdef _finish(self):
        self._answered = True
        self.listener = None
        self._endpoint._calls.pop(self._connection, None)

    cdef _changed(self):
        if self.listener is not None:
            self.listener()


cdef str _latin(string_view text):
    return PyBytes_FromStringAndSize(text.data(), text.size()).decode("latin-1")


cdef dict _headers(const vector[HttpField]& fields):
    headers = {}
    cdef size_t i
    for i in range(fields.size()):
        name, value = _latin(fields[i].name), _latin(fields[i].value)
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


cdef vector[pair[string, string]] _fields(headers) except *:
    cdef vector[pair[string, string]] fields
    cdef bytes name
    cdef bytes value
    for name_text, value_text in headers:
        name, value = name_text.encode("latin-1"), value_text.encode("latin-1")
        if not may_be_given(
            string_view(<const char*>name, len(name)), string_view(<const char*>value, len(value))
        ):
            raise ValueError(f"the field {name_text!r} may not be given with {value_text!r}")
        fields.push_back(pair[string, string](name, value))
    return fields
