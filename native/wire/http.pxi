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


cdef class HttpEndpoint(_LoopEndpoint):
    cdef unique_ptr[CHttpEndpoint] _endpoint

    def __init__(self, HttpLimits limits, dispatch, *, on_failure):
        self._endpoint.reset(new CHttpEndpoint(limits._limits))
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
        return f"<HttpEndpoint connections={self.connections} open_requests={self.open_requests}>"

    def protocol(self):
        return HttpProtocol(self)

    def refuse_new_requests(self, int status, str message):
        cdef int64_t now_ns = steady_now_ns()
        deref(self._endpoint).refuse_new_requests(status, message.encode(), now_ns)
        self._settle(now_ns)

    def wait_until_no_requests(self):
        return self._wait_until_quiet()

    @property
    def open_requests(self):
        return deref(self._endpoint).open_requests()

    cdef _handle_events(self):
        cdef HttpEvent event
        while deref(self._endpoint).next_event(event):
            self._handle(event)

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


cdef class _HttpConnection(_LoopConnection):
    cdef HttpEndpoint _endpoint
    cdef cpp_bool _reading
    cdef cpp_bool _said_end

    def __init__(self, HttpEndpoint endpoint):
        _LoopConnection.__init__(self, endpoint)
        self._endpoint = endpoint
        self._reading = True

    cdef uint64_t _open(self, int64_t now_ns) except 0:
        return deref(self._endpoint._endpoint).open(now_ns)

    cdef _flush(self, int64_t now_ns):
        cdef CHttpConnection* connection = deref(self._endpoint._endpoint).find(self._id)
        if connection is NULL or self._transport is None:
            return
        cdef cpp_bool sent = connection.wants_write()
        while self._writable and connection.wants_write():
            self._write_piece(now_ns)
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
