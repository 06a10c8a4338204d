# The shared memory that requests of an endpoint may refer to. Part of _wire.pyx.

cdef extern from *:
    """
    #include <memory>
    #include "wire/shared_regions.h"

    // The object's writable bytes, exported until the last owner is gone, on whatever thread. No owner, with Python's
    // error set, if it cannot be.
    static npuserve::wire::BorrowedMemory borrow_memory(PyObject* object) {
      auto buffer = std::make_unique<Py_buffer>();
      if (PyObject_GetBuffer(object, buffer.get(), PyBUF_WRITABLE) != 0) return {};
      const std::span<std::byte> bytes(static_cast<std::byte*>(buffer->buf), static_cast<size_t>(buffer->len));
      const auto release = [](Py_buffer* lent) {
        const PyGILState_STATE gil = PyGILState_Ensure();
        PyBuffer_Release(lent);
        PyGILState_Release(gil);
        delete lent;
      };
      return {bytes, std::shared_ptr<Py_buffer>(buffer.release(), release)};
    }
    """
    BorrowedMemory borrow_memory(object) except *


cdef class SharedRegions:
    cdef shared_ptr[CSharedRegions] _regions

    def __cinit__(self):
        self._regions = make_shared[CSharedRegions]()

    def add(self, str name, int file, uint64_t offset, memory):
        # Names over HTTP need not be Unicode; such a one is no request's here.
        cdef string text = name.encode("utf-8", "surrogatepass")
        return deref(self._regions).add(text, file, offset, borrow_memory(memory))

    def remove(self, str name):
        cdef bytes text = name.encode("utf-8", "surrogatepass")
        deref(self._regions).remove(string_view(<const char*>text, len(text)))
