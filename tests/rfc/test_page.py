"""docs/rfc.md is what the marks of the tests say, and says nothing that is not there."""

from __future__ import annotations

import pytest

from rfc.page import PACKAGE, PAGE, Misplaced, Rule, collect, document, marks, order, page


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(collect()), "make rfc"


def test_each_file_that_the_page_names_is_there() -> None:
    for link in _links():
        assert (PAGE.parent / link).is_file(), link


def test_each_rule_names_a_file_of_the_package_and_a_test() -> None:
    package, tests = f"../{PACKAGE}/", "../tests/"
    for line in _rows():
        *_, code, test = line.strip("| ").split(" | ")
        assert package in code, line
        assert tests in test, line


def test_sections_are_in_order() -> None:
    sections = ["RFC 9293 3.10.7.4", "Linux tcp", "RFC 768 Fields", "RFC 9293 3.4", "RFC 791 3.1"]
    assert sorted(sections, key=order) == [
        "RFC 768 Fields", "RFC 791 3.1", "RFC 9293 3.4", "RFC 9293 3.10.7.4", "Linux tcp",
    ]  # fmt: skip


@pytest.mark.parametrize(("section", "name"), [("RFC 9293 3.4", "RFC 9293"), ("Linux tcp_rto_min", "Linux")])
def test_a_section_is_of_a_document(section: str, name: str) -> None:
    assert document(section) == name


def test_a_rule_that_two_tests_hold_is_counted_once() -> None:
    rules = {Rule("RFC 791 3.1", "A rule", "ip/v4.py", f"tests/ip/test_{name}.py", f"test_{name}") for name in "ab"}
    made = page(rules)
    assert "1 rules of 1 documents" in made
    assert (
        "| 3.1 | A rule | [ip/v4.py](../aionetflow/ip/v4.py)"
        " | [test_a](../tests/ip/test_a.py), [test_b](../tests/ip/test_b.py) |" in made
    )
    assert "## RFC 791, Internet Protocol" in made


def test_marks_are_read_from_the_source() -> None:
    source = """
CODE = "ip/v4.py"
@rule("RFC 791 3.1", "One", code="ip/v4.py")
@rule(
    "RFC 791 3.2", "Two",
    code=CODE,
)
@pytest.mark.parametrize("x", [1])
async def test_it(x): ...
"""
    assert marks(source, "tests/test_x.py") == {
        Rule("RFC 791 3.1", "One", "ip/v4.py", "tests/test_x.py", "test_it"),
        Rule("RFC 791 3.2", "Two", "ip/v4.py", "tests/test_x.py", "test_it"),
    }


NOT_A_TEST = "@rule('a', 'b', code='c')\ndef it(): ..."
NOT_A_WORD = "@rule('a', b, code='c')\ndef test_it(): ..."


@pytest.mark.parametrize("source", [NOT_A_TEST, NOT_A_WORD])
def test_a_mark_that_cannot_be_read_is_an_error(source: str) -> None:
    with pytest.raises(Misplaced, match=r"test_x\.py:1"):
        marks(source, "tests/test_x.py")


def _rows() -> list[str]:
    return [line for line in PAGE.read_text().splitlines() if line.startswith("| ") and "](../" in line]


def _links() -> set[str]:
    return {part.partition(")")[0] for line in _rows() for part in line.split("](")[1:]}
