"""What the tick asks of the interpreter, for compiled callers. Promises in `native.py`."""

from libc.stdint cimport int64_t

cpdef object call_in(object context, object callback, tuple args)
cpdef object current_context()
cpdef int drop(list items, Py_ssize_t count) except -1
cpdef int64_t monotonic() noexcept
