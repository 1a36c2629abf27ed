"""What the tick asks of the interpreter: through its C API where that is compiled (`_native`), else as everybody."""

from collections.abc import Callable
from contextvars import Context, copy_context
from time import monotonic_ns
from typing import Any

__all__ = ["call_in", "current_context", "drop", "monotonic"]

try:
    from aionetflow.loop._native import call_in, current_context, drop, monotonic
except ModuleNotFoundError:
    # Not ImportError: an extension that is there but does not load must not go unseen.

    def call_in(context: Context, callback: Callable[..., object], args: tuple[Any, ...]) -> object:
        """What `callback` returns, called in that context; RuntimeError if somebody is in it already.

        >>> call_in(current_context(), max, (2, 3))
        3
        """
        return context.run(callback, *args)

    def current_context() -> Context:
        """A copy of the context that the caller runs in."""
        return copy_context()

    def drop(items: list[Any], count: int) -> object:
        """Takes the first so many items out of a list, in one step: another thread may append meanwhile."""
        del items[:count]
        return None

    def monotonic() -> int:
        """The machine's monotonic clock in ns, whatever `time.monotonic_ns` has been replaced by."""
        return monotonic_ns()
