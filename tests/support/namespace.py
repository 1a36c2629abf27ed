"""Network namespaces of a test's own: they have no name, and are gone when nobody holds them any more."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any, Self, TypeVar

from aionetflow.link.tap import CLONE_DEVICE, open_device
from aionetflow.network.device import Device, within

T = TypeVar("T")
CLONE_NEWNET = 0x40000000


@functools.cache
def missing() -> str:
    """Why namespaces and TAP devices cannot be made here; "" if they can."""
    if sys.platform != "linux":
        return "needs Linux"
    try:
        with Namespace() as namespace:
            namespace.call(lambda: os.close(open_device("probe")[0]))
    except OSError as error:
        return f"needs root and {CLONE_DEVICE}: {error.strerror or error}"
    return ""


def unshare() -> None:
    """Puts this thread into a new network namespace whose loopback interface is up."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
        code = ctypes.get_errno()
        raise OSError(code, f"no new network namespace: {os.strerror(code)}")
    with Device("lo") as lo:
        lo.set_up(65536)


class Namespace:
    """A network namespace, held by a descriptor."""

    def __init__(self) -> None:
        self.descriptor = -1
        failures: list[BaseException] = []

        def make() -> None:
            try:
                unshare()
                self.descriptor = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        if failures:
            raise failures[0]

    def call(self, function: Callable[[], T]) -> T:
        """Calls a function in it."""
        return within(self.descriptor, function)

    def command(self, *args: str) -> list[str]:
        """A command line that runs another one in it."""
        return ["nsenter", f"--net=/proc/{os.getpid()}/fd/{self.descriptor}", *args]

    def run(self, *args: str, **options: Any) -> str:
        """Runs a command in it to its end; returns what it has printed."""
        done = subprocess.run(self.command(*args), check=False, capture_output=True, text=True, **options)
        assert done.returncode == 0, f"{args}: {done.stdout}{done.stderr}"
        return str(done.stdout)

    def set_sysctl(self, name: str, value: object) -> None:
        """Sets one of its settings."""
        self.call(lambda: write_sysctl(name, value))

    def close(self) -> None:
        """Lets go of it."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def write_sysctl(name: str, value: object) -> None:
    """Sets a setting of the namespace that this thread is in."""
    with open("/proc/sys/" + name.replace(".", "/"), "w") as file:
        file.write(str(value))


def have_sysctl(name: str) -> bool:
    """Whether the kernel has that setting in the namespace that this thread is in."""
    with contextlib.suppress(OSError):
        return os.path.exists("/proc/sys/" + name.replace(".", "/"))
    return False
