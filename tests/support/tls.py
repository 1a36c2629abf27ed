"""Certificates for tests of TLS: an authority of their own, and contexts for both ends that know it."""

from __future__ import annotations

import functools
import ssl

import trustme

NAME = "server.test"


@functools.cache
def authority() -> trustme.CA:
    """Who signs; the same in one run of the tests."""
    return trustme.CA()


def server_context() -> ssl.SSLContext:
    """For the end that is called NAME."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert(NAME, "127.0.0.1").configure_cert(context)
    return context


def client_context(*, trusting: bool = True) -> ssl.SSLContext:
    """For the other end; one that is not trusting does not know the authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # without the machine's authorities, which take long to read
    if trusting:
        authority().configure_trust(context)
    return context
