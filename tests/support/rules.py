"""Which rule of which RFC a test is about: what docs/rfc.md is made of."""

from typing import NamedTuple

import pytest


def rule(section: str, text: str, *, code: str) -> pytest.MarkDecorator:
    """Marks a test as the one that holds a rule.

    section is where the rule stands ("RFC 5681 3.2"), text says it in one sentence, code is the file that keeps it,
    below the package ("tcp/recovery.py").
    """
    return pytest.mark.rfc(section, text, code=code)


class Difference(NamedTuple):
    """A rule that is not kept, or kept otherwise, and why."""

    section: str
    text: str
    reason: str


DIFFERENCES: list[Difference] = []


def differs(section: str, text: str, reason: str) -> None:
    """Notes such a rule; tests/rfc/differences.py is the place for these notes."""
    noted = Difference(section, text, reason)
    if noted not in DIFFERENCES:  # doctests import the file of the notes once more
        DIFFERENCES.append(noted)
