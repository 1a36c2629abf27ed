"""What the tick asks of the interpreter, of its C API: no call goes through a Python method. See `native.py`."""

from cpython.contextvars cimport PyContext_CopyCurrent, PyContext_Enter, PyContext_Exit
from cpython.time cimport monotonic_ns
from libc.stdint cimport int64_t


cdef extern from "Python.h":
    int PyList_SetSlice(object, Py_ssize_t, Py_ssize_t, void*) except -1


cpdef object call_in(object context, object callback, tuple args):
    PyContext_Enter(context)
    try:
        return callback(*args)
    finally:
        PyContext_Exit(context)


cpdef object current_context():
    return PyContext_CopyCurrent()


cpdef int64_t monotonic() noexcept:
    return monotonic_ns()


cpdef int drop(list items, Py_ssize_t count) except -1:
    return PyList_SetSlice(items, 0, count, NULL)
