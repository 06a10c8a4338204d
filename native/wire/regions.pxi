# The shared memory that requests of an endpoint may refer to. Part of _wire.pyx.


cdef class SharedRegions:
    cdef shared_ptr[CSharedRegions] _regions

    def __cinit__(self):
        self._regions = make_shared[CSharedRegions]()

    def add(self, str name, int file, uint64_t offset, size_t byte_size):
        # Names over HTTP need not be Unicode; such a one is no request's here.
        return deref(self._regions).add(name.encode("utf-8", "surrogatepass"), file, offset, byte_size)

    def remove(self, str name):
        cdef bytes text = name.encode("utf-8", "surrogatepass")
        deref(self._regions).remove(string_view(<const char*>text, len(text)))
