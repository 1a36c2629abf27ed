"""A test on a network that reaches for the real one fails, and is told where."""

from __future__ import annotations

import pytest

from aionetflow.testing import plugin  # noqa: F401  # see test_runners.py
from support.build import only_on_the_pure_build
from support.netflow import passes, run_tests

pytestmark = only_on_the_pure_build

pytest_plugins = ["pytester"]

# How a program gets past the patched module: by what it has imported before.
ATTEMPTS = {
    "connect": ("sock.connect(('192.0.2.1', 80))", "connect to 192.0.2.1:80"),
    "connect_ex": ("sock.connect_ex(('127.0.0.1', 9))", "connect to 127.0.0.1:9"),
    "bind": ("sock.bind(('127.0.0.1', 0))", "bind to 127.0.0.1:0"),
    "bind over IPv6": ("sock6.bind(('::1', 0))", "bind to [::1]:0"),
    "sendto": ("udp.sendto(b'x', ('192.0.2.1', 53))", "sendto to 192.0.2.1:53"),
    "sendmsg": ("udp.sendmsg([b'x'], [], 0, ('192.0.2.1', 53))", "sendmsg to 192.0.2.1:53"),
    "getaddrinfo": ("kernel_getaddrinfo('example.com', 80)", "look-up of 'example.com'"),
    "gethostbyname": ("kernel_gethostbyname('example.com')", "look-up of 'example.com'"),
    "gethostbyaddr": ("kernel_gethostbyaddr('192.0.2.1')", "look-up of '192.0.2.1'"),
}
IMPORTS = """
import threading
from socket import getaddrinfo as kernel_getaddrinfo, gethostbyaddr as kernel_gethostbyaddr
from socket import gethostbyname as kernel_gethostbyname, socket as KernelSocket
"""


@pytest.mark.parametrize(("call", "text"), ATTEMPTS.values(), ids=ATTEMPTS)
def test_a_call_for_the_real_network_fails_and_names_address_and_line(
    pytester: pytest.Pytester, call: str, text: str
) -> None:
    result = run_tests(pytester, "alone", IMPORTS + f"""
def program():
    with KernelSocket() as sock, KernelSocket(socket.AF_INET6) as sock6, KernelSocket(type=socket.SOCK_DGRAM) as udp:
        {call}  # this line

@pytest.mark.netflow
async def test_it():
    program()
""")
    result.assert_outcomes(failed=1)
    lines = (pytester.path / "test_it.py").read_text().splitlines()
    number = next(number for number, line in enumerate(lines, 1) if "this line" in line)
    told = f"RealNetworkError: {text} on the real network, at test_it.py:{number}. "
    assert told in result.stdout.str()


@pytest.mark.parametrize("runner", ["alone", "asyncio", "anyio"])
def test_a_program_that_survives_it_fails_all_the_same(pytester: pytest.Pytester, runner: str) -> None:
    result = run_tests(pytester, runner, IMPORTS + """
@pytest.mark.netflow
async def test_it():
    with KernelSocket() as sock:
        try:
            sock.connect(("192.0.2.1", 80))
        except Exception:
            pass
""")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E *RealNetworkError: connect to 192.0.2.1:80 on the real network*"])


def test_a_thread_that_is_on_no_host_is_named(pytester: pytest.Pytester) -> None:
    result = run_tests(pytester, "alone", IMPORTS + """
@pytest.mark.netflow
async def test_it():
    with KernelSocket() as sock, pytest.raises(RuntimeError, match="connect to 192.0.2.1:80"):
        await asyncio.get_running_loop().run_in_executor(None, sock.connect, ("192.0.2.1", 80))
""")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E *RealNetworkError: *, at no line of the test's, in thread asyncio_0.*"])


def test_a_thread_in_the_tests_context_is_on_the_network(pytester: pytest.Pytester) -> None:
    result = run_tests(pytester, "alone", """
@pytest.mark.netflow
async def test_it():
    def refused():
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("localhost", 80))
    await asyncio.to_thread(refused)
""")
    passes(result, 1)


def test_what_is_no_network_is_allowed(pytester: pytest.Pytester) -> None:
    result = run_tests(pytester, "alone", IMPORTS + """
@pytest.mark.netflow
async def test_it(tmp_path):
    async def serve(reader, writer):
        writer.write(b"unix")
        writer.close()

    first, second = socket.socketpair()
    with first, second:
        first.send(b"x")
    path = str(tmp_path / "sock")
    async with await asyncio.start_unix_server(serve, path):
        reader, writer = await asyncio.open_unix_connection(path)
        assert await reader.read() == b"unix"
        writer.close()
        await writer.wait_closed()
    assert kernel_getaddrinfo("192.0.2.1", 80) and kernel_getaddrinfo(None, 80)  # nobody is asked
    process = await asyncio.create_subprocess_exec("true")
    assert await process.wait() == 0
""")
    passes(result, 1)


def test_a_bridge_may_use_the_kernels_loopback_and_nothing_else(pytester: pytest.Pytester) -> None:
    result = run_tests(pytester, "alone", IMPORTS + """
def serve(sock):
    conn, _ = sock.accept()
    with conn:
        conn.sendall(b"kernel")

@pytest.fixture(scope="module")
def outside():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        thread = threading.Thread(target=serve, args=[sock])
        thread.start()
        yield sock.getsockname()[1]
        thread.join()

@pytest.mark.netflow(bridge="loopback")
async def test_it(outside):
    reader, writer = await asyncio.open_connection("127.0.0.1", outside)
    assert await reader.read() == b"kernel"
    writer.close()
    with pytest.raises(aionetflow.testing.RealNetworkError), KernelSocket() as sock:
        sock.connect(("192.0.2.1", 80))
""")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E *RealNetworkError: connect to 192.0.2.1:80*"])


def test_other_tests_may_use_the_real_network(pytester: pytest.Pytester) -> None:
    result = run_tests(pytester, "alone", """
@pytest.mark.netflow
async def test_on_a_network():
    pass

def test_on_the_kernel():
    with socket.create_server(("127.0.0.1", 0)) as sock, socket.create_connection(sock.getsockname()):
        pass
""")
    passes(result, 2)
