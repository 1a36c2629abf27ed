"""docs/rfc.md: which rules of which RFC hold, where in the code, and the test of each.

It is made of the marks above the tests (support/rules.py says how they are written).
"""

from __future__ import annotations

import ast
import importlib
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from support.rules import DIFFERENCES

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
PAGE = ROOT / "docs" / "rfc.md"
PACKAGE = "aionetflow"

TITLES = {
    768: "User Datagram Protocol",
    791: "Internet Protocol",
    792: "Internet Control Message Protocol",
    826: "An Ethernet Address Resolution Protocol",
    894: "IP Datagrams over Ethernet Networks",
    919: "Broadcasting Internet Datagrams",
    922: "Broadcasting in the Presence of Subnets",
    1071: "Computing the Internet Checksum",
    1112: "Host Extensions for IP Multicasting",
    1122: "Requirements for Internet Hosts",
    1191: "Path MTU Discovery",
    1337: "TIME-WAIT Assassination Hazards in TCP",
    1624: "Computation of the Internet Checksum via Incremental Update",
    1812: "Requirements for IP Version 4 Routers",
    2018: "TCP Selective Acknowledgment Options",
    2236: "Internet Group Management Protocol, Version 2",
    2464: "IPv6 Packets over Ethernet Networks",
    2474: "The Differentiated Services Field",
    2710: "Multicast Listener Discovery for IPv6",
    2861: "TCP Congestion Window Validation",
    2883: "An Extension to the SACK Option for TCP",
    3021: "31-Bit Prefixes on IPv4 Point-to-Point Links",
    3042: "Limited Transmit",
    3128: "Protection Against a Variant of the Tiny Fragment Attack",
    3168: "Explicit Congestion Notification to IP",
    3376: "Internet Group Management Protocol, Version 3",
    3465: "Congestion Control with Appropriate Byte Counting",
    3493: "Basic Socket Interface Extensions for IPv6",
    3517: "A Conservative SACK-based Loss Recovery Algorithm",
    3522: "The Eifel Detection Algorithm for TCP",
    3542: "Advanced Sockets Application Program Interface for IPv6",
    3810: "Multicast Listener Discovery Version 2",
    3927: "Dynamic Configuration of IPv4 Link-Local Addresses",
    4015: "The Eifel Response Algorithm for TCP",
    4193: "Unique Local IPv6 Unicast Addresses",
    4291: "IP Version 6 Addressing Architecture",
    4443: "Internet Control Message Protocol for IPv6",
    4541: "Considerations for IGMP and MLD Snooping Switches",
    4821: "Packetization Layer Path MTU Discovery",
    4861: "Neighbor Discovery for IP version 6",
    4862: "IPv6 Stateless Address Autoconfiguration",
    4987: "TCP SYN Flooding Attacks and Common Mitigations",
    5227: "IPv4 Address Conflict Detection",
    5482: "TCP User Timeout Option",
    5681: "TCP Congestion Control",
    5682: "Forward RTO-Recovery",
    5722: "Handling of Overlapping IPv6 Fragments",
    5927: "ICMP Attacks against TCP",
    5961: "Improving TCP's Robustness to Blind In-Window Attacks",
    6056: "Recommendations for Transport-Protocol Port Randomization",
    6093: "On the Implementation of the TCP Urgent Mechanism",
    6191: "Reducing the TIME-WAIT State Using TCP Timestamps",
    6298: "Computing TCP's Retransmission Timer",
    6429: "TCP Sender Clarification for Persist Condition",
    6528: "Defending against Sequence Number Attacks",
    6582: "The NewReno Modification to TCP's Fast Recovery Algorithm",
    6633: "Deprecation of ICMP Source Quench Messages",
    6675: "A Conservative Loss Recovery Algorithm Based on SACK",
    6691: "TCP Options and Maximum Segment Size",
    6724: "Default Address Selection for IPv6",
    6762: "Multicast DNS",
    6864: "Updated Specification of the IPv4 ID Field",
    6928: "Increasing TCP's Initial Window",
    6937: "Proportional Rate Reduction for TCP",
    6980: "Security Implications of IPv6 Fragmentation with Neighbor Discovery",
    7048: "Neighbor Unreachability Detection Is Too Impatient",
    7112: "Implications of Oversized IPv6 Header Chains",
    7217: "Stable and Opaque IIDs with SLAAC",
    7323: "TCP Extensions for High Performance",
    7413: "TCP Fast Open",
    7661: "Updating TCP to Support Rate-Limited Traffic",
    8200: "Internet Protocol, Version 6",
    8201: "Path MTU Discovery for IP version 6",
    8257: "Data Center TCP",
    8311: "Relaxing Restrictions on ECN Experimentation",
    8504: "IPv6 Node Requirements",
    8511: "TCP Alternative Backoff with ECN",
    8961: "Requirements for Time-Based Loss Detection",
    8985: "The RACK-TLP Loss Detection Algorithm for TCP",
    9293: "Transmission Control Protocol",
    9406: "HyStart++: Modified Slow Start for TCP",
    9438: "CUBIC for Fast and Long-Distance Networks",
}


class Rule(NamedTuple):
    """One rule as one test marks it."""

    section: str
    text: str
    code: str  # below the package
    path: str  # of the test's file, below the root
    test: str


class Misplaced(Exception):
    """A mark that is not above a test, or does not say its words outright."""


def collect() -> set[Rule]:
    """The marks of all tests, read from their sources: to import them all takes a hundred times as long."""
    rules: set[Rule] = set()
    for path in sorted(TESTS.rglob("test_*.py")):
        source = path.read_text()
        if "rule(" in source:
            rules |= marks(source, path.relative_to(ROOT).as_posix())
    return rules


def marks(source: str, path: str) -> set[Rule]:
    """The marks in one file of tests."""
    tree = ast.parse(source)
    calls: set[ast.expr] = {node for node in ast.walk(tree) if isinstance(node, ast.Call) and _is_mark(node)}
    words = dict(_named_words(tree))
    rules: set[Rule] = set()
    for test in ast.walk(tree):
        if isinstance(test, ast.FunctionDef | ast.AsyncFunctionDef) and test.name.startswith("test_"):
            for call in calls.intersection(test.decorator_list):
                calls.remove(call)
                rules.add(_read(call, words, path, test.name))
    if calls:
        raise Misplaced(", ".join(f"{path}:{call.lineno}" for call in calls))
    return rules


def _is_mark(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id == "rule"


def _named_words(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """What a file has given a name, for its marks or for anything else."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield from ((name.id, node.value.value) for name in node.targets if isinstance(name, ast.Name))


def _read(call: ast.expr, words: dict[str, str], path: str, test: str) -> Rule:
    assert isinstance(call, ast.Call)
    given = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg == "code")]
    said = [words.get(word.id) if isinstance(word, ast.Name) else getattr(word, "value", None) for word in given]
    match said:
        case [str(section), str(text), str(code)]:
            return Rule(section, text, code, path, test)
    raise Misplaced(f"{path}:{call.lineno}")


def order(section: str) -> tuple[bool, list[int], str]:
    """Sorts by RFC and section as numbers; what is no RFC's comes last."""
    return (not section.startswith("RFC "), [int(word) for word in re.findall(r"\d+", section)], section)


def document(section: str) -> str:
    """Which document a section is of: "RFC 9293", or "Linux"."""
    words = section.split()
    return " ".join(words[: 2 if words[0] == "RFC" else 1])


def title(name: str) -> str:
    """The document with its title, where it is known."""
    number = name.partition(" ")[2]
    return f"{name}, {TITLES[int(number)]}" if number.isdigit() and int(number) in TITLES else name


def page(rules: set[Rule]) -> str:
    """The page. A rule that several tests hold has one line."""
    lines: dict[tuple[str, str], list[Rule]] = defaultdict(list)
    for rule in sorted(rules):
        lines[rule.section, rule.text].append(rule)
    tables: dict[str, list[str]] = defaultdict(list)
    for section, text in sorted(lines, key=lambda key: (order(key[0]), key[1])):
        tables[document(section)].append(_line(section, text, lines[section, text]))
    importlib.import_module("rfc.differences")
    left = sorted(DIFFERENCES, key=lambda one: (order(one.section), one.text))
    return "\n".join([
        "# Rules of RFCs",
        "",
        "Each line is a rule, the file that keeps it, and a test that fails where it is not kept. `make rfc` writes",
        "this page from the marks of the tests.",
        "",
        f"{len(lines)} rules of {len(tables)} documents; {len(left)} are left out or kept otherwise, at the end.",
        *(line for name, table in tables.items() for line in ("", *_table(name, table))),
        "",
        "## Left out, or otherwise",
        "",
        "| section | rule | why |",
        "|---|---|---|",
        *(f"| {one.section} | {_cell(one.text)} | {_cell(one.reason)} |" for one in left),
        "",
    ])  # fmt: skip


def _table(name: str, table: list[str]) -> list[str]:
    return [f"## {title(name)}", "", "| section | rule | code | test |", "|---|---|---|---|", *table]


def _line(section: str, text: str, rules: list[Rule]) -> str:
    place = section.removeprefix(document(section)).strip() or "–"
    code = ", ".join(f"[{file}](../{PACKAGE}/{file})" for file in sorted({rule.code for rule in rules}))
    tests = ", ".join(f"[{rule.test}](../{rule.path})" for rule in rules)
    return f"| {place} | {_cell(text)} | {code} | {tests} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
