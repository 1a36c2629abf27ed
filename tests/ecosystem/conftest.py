"""Real libraries, unmodified. `make ecosystem` installs and runs them; `make test` leaves the folder out."""

from __future__ import annotations

import functools
import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    # The modules need their libraries even to be read.
    asked_for = config.option.markexpr.replace("not ecosystem", "")
    return None if "ecosystem" in asked_for else True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    own = os.path.join(os.path.dirname(__file__), "")
    for item in items:
        if str(item.path).startswith(own):
            item.add_marker("ecosystem")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "place" in metafunc.fixturenames:
        from support.ecosystem import KERNEL, PLACES

        marks = {KERNEL: [pytest.mark.kernel]}
        metafunc.parametrize("place", [pytest.param(place, marks=marks.get(place, [])) for place in PLACES])


@pytest.fixture
def run(place: str) -> Callable[..., None]:
    """`support.ecosystem.run` at one of its places."""
    from support import ecosystem

    return functools.partial(ecosystem.run, place)


class Certificates:
    """A certificate for the server's names, and contexts for both sides."""

    def __init__(self, folder: Path) -> None:
        import trustme

        authority = trustme.CA()
        certificate = authority.issue_cert("server.example", "127.0.0.1")
        self.chain, self.authority = str(folder / "server.pem"), str(folder / "authority.pem")
        certificate.private_key_and_cert_chain_pem.write_to_path(self.chain)
        authority.cert_pem.write_to_path(self.authority)
        self.server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.server.load_cert_chain(self.chain)
        self.client = ssl.create_default_context(cafile=self.authority)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: Any) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))
