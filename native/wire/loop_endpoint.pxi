# What the endpoints of an event loop and their connections share, whatever they speak. Part of _wire.pyx.


cdef class _LoopEndpoint:
    """Drives a native endpoint: its bytes, its timer, its completions. The handlers' events are each protocol's own."""

    cdef CLoopEndpoint* _driven  # owned by who inherits from this
    cdef size_t _max_connections
    cdef size_t _max_unsent_bytes
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

    def __cinit__(self):
        self._timer_ns = NEVER
        self._read_buffer = bytearray(READ_BYTES)
        # Transports slice what get_buffer gives them: a slice of the bytearray itself would be a copy.
        self._read_view = memoryview(self._read_buffer)
        self._protocols = {}
        self._calls = {}
        self._quiet_waiters = []
        self._empty_waiters = []

    def start(self, loop):
        self._loop = loop
        loop.add_reader(self._driven.file_descriptor(), self._deliver)

    def close(self):
        if self._loop is None:
            return
        self._loop.remove_reader(self._driven.file_descriptor())
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop = None
        self._driven.deliver(steady_now_ns())

    def set_routes(self, routes):
        cdef vector[CRoute] native
        cdef Route route
        for route in routes:
            native.push_back(route._route)
        self._driven.set_routes(native)

    def observe(self, *, cpp_bool wants_all, int64_t slow_ns, on_finished):
        self._on_finished = on_finished
        self._driven.observation().ask_for(wants_all, slow_ns)

    def shut_down(self):
        cdef int64_t now_ns = steady_now_ns()
        self._driven.shut_down(now_ns)
        self._settle(now_ns)

    def abort(self):
        for protocol in list(self._protocols.values()):
            protocol.abort()

    async def _wait_until_quiet(self):
        while not self._driven.is_quiet():
            waiter = self._loop.create_future()
            self._quiet_waiters.append(waiter)
            await waiter

    async def wait_until_no_connections(self):
        while self._protocols:
            waiter = self._loop.create_future()
            self._empty_waiters.append(waiter)
            await waiter

    @property
    def connections(self):
        return len(self._protocols)

    @property
    def used_memory_bytes(self):
        return self._driven.budget().used_bytes()

    # --- What the loop calls.

    def _deliver(self):
        cdef int64_t now_ns = steady_now_ns()
        cdef Failure failure
        with nogil:
            self._driven.deliver(now_ns)
        self._settle(now_ns)
        while self._driven.next_failure(failure):
            self._on_failure(failure.model.decode("utf-8", "replace"), failure.message.decode("utf-8", "replace"))

    def _submit(self):
        self._will_submit = False
        with nogil:
            self._driven.submit_gathered()

    def _on_timer(self):
        cdef int64_t now_ns = steady_now_ns()
        self._timer = None
        self._timer_ns = NEVER
        with nogil:
            self._driven.advance(now_ns)
        self._settle(now_ns)

    cdef _settle(self, int64_t now_ns):
        # Handlers that answer at once come back here from within; the outer round goes on with what they left.
        if self._settling:
            return
        self._settling = True
        cdef uint64_t connection
        try:
            while True:
                self._handle_events()
                self._driven.grant_waiting(now_ns)
                self._driven.take_touched(self._touched)
                if self._touched.empty():
                    break
                for connection in self._touched:
                    protocol = self._protocols.get(connection)
                    if protocol is not None:
                        self._flush(protocol, now_ns)
        finally:
            self._settling = False
        self._arm(now_ns)
        if self._driven.has_gathered() and not self._will_submit and self._loop is not None:
            # In the loop's next round, when what was readable in this one has been read.
            self._will_submit = True
            self._loop.call_soon(self._submit)
        if not self._driven.observation().empty():
            self._tell()
        if self._quiet_waiters and self._driven.is_quiet():
            _wake(self._quiet_waiters)

    cdef _handle_events(self):
        """Tells the handlers of what happened to their requests."""
        raise NotImplementedError

    cdef _tell(self):
        cdef ObservedRequest request
        finished = []
        while self._driven.observation().next(request):
            finished.append(_finished(request))
        try:
            self._on_finished(finished)
        except Exception as error:
            # Whoever watches is no part of the answers: no connection is lost for it.
            self._loop.call_exception_handler({"message": "an observer of requests failed", "exception": error})

    cdef _flush(self, _LoopConnection protocol, int64_t now_ns):
        try:
            protocol._flush(now_ns)
        except Exception as error:
            # What was sent may end within an answer: this connection is lost, and the others still get theirs.
            self._loop.call_exception_handler(
                {"message": "a connection could not be written to", "exception": error, "protocol": protocol}
            )
            protocol.abort()

    cdef _arm(self, int64_t now_ns):
        cdef int64_t wake_ns = self._driven.next_wake_ns()
        if wake_ns >= self._timer_ns or self._loop is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_ns = wake_ns
        # Loops count in milliseconds: a little late, never early and again.
        delay_ns = max(wake_ns - now_ns, 0) + 1_000_000
        self._timer = self._loop.call_later(delay_ns / 1e9, self._on_timer)


cdef class _LoopConnection:
    """One connection's transport. Its requests and its bytes are the endpoint's."""

    cdef _LoopEndpoint _shell
    cdef object _transport
    cdef object _write
    cdef uint64_t _id
    cdef cpp_bool _writable
    cdef public str peer

    def __init__(self, _LoopEndpoint shell):
        self._shell = shell
        self._writable = True
        self.peer = ""

    def connection_made(self, transport):
        if self._shell._driven.connections() >= self._shell._max_connections:
            transport.abort()
            return
        cdef int64_t now_ns = steady_now_ns()
        self._transport = transport
        self._write = transport.write
        transport.set_write_buffer_limits(high=self._shell._max_unsent_bytes)
        self.peer = _peer(transport.get_extra_info("peername"))
        self._id = self._open(now_ns)
        self._shell._protocols[self._id] = self
        self._shell._settle(now_ns)

    cdef uint64_t _open(self, int64_t now_ns) except 0:
        """Returns its id."""
        raise NotImplementedError

    def get_buffer(self, sizehint):
        return self._shell._read_view

    def buffer_updated(self, size_t size):
        cdef int64_t now_ns = steady_now_ns()
        cdef const char* data = self._shell._read_buffer
        with nogil:
            self._shell._driven.receive(self._id, ByteSpan(<const byte*>data, size), now_ns)
        self._shell._settle(now_ns)

    def eof_received(self):
        return False

    def pause_writing(self):
        self._set_writable(False)

    def resume_writing(self):
        self._set_writable(True)

    cdef _set_writable(self, cpp_bool writable):
        cdef int64_t now_ns = steady_now_ns()
        self._writable = writable
        self._shell._driven.set_writable(self._id, writable, now_ns)
        self._shell._settle(now_ns)

    def connection_lost(self, error):
        if self._transport is None:
            return
        cdef int64_t now_ns = steady_now_ns()
        self._transport = self._write = None
        self._shell._driven.close(self._id, now_ns)
        del self._shell._protocols[self._id]
        self._shell._settle(now_ns)
        if not self._shell._protocols:
            _wake(self._shell._empty_waiters)

    def abort(self):
        if self._transport is not None:
            self._transport.abort()

    cdef _flush(self, int64_t now_ns):
        """Writes what there is to send as far as the transport takes it, and closes it when all is over."""
        raise NotImplementedError

    # False if the endpoint gave nothing.
    cdef cpp_bool _write_piece(self, int64_t now_ns) except *:
        cdef string* output = &self._shell._output
        output.clear()
        self._shell._driven.take_output(self._id, deref(output), WRITE_BYTES, now_ns)
        if output.empty():
            return False
        self._write(PyBytes_FromStringAndSize(output.data(), output.size()))
        return True
