"""DNS messages: written for a stranger's eyes (scapy's), and read whatever is in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dns import DNS, DNSQR, DNSRR

from aionetflow.network import dns
from aionetflow.network.dns import BadMessage, Message, Question, Record, pack, parse

WEB4 = Record("web.local", dns.A, 120, bytes((10, 0, 0, 5)), flush=True)
WEB6 = Record("web.local", dns.AAAA, 120, bytes.fromhex("fd61696f6e6600000000000000000005"), flush=True)

labels = st.text(st.characters(codec="utf-8", exclude_characters=".\\"), min_size=1, max_size=15).map(str.lower)
names = st.lists(labels, min_size=1, max_size=3).map(".".join).filter(lambda name: name == name.lower())
records = st.one_of(
    st.builds(Record, names, st.just(dns.A), st.integers(0, 2**32 - 1), st.binary(min_size=4, max_size=4),
              st.booleans()),
    st.builds(Record, names, st.just(dns.AAAA), st.integers(0, 2**32 - 1), st.binary(min_size=16, max_size=16),
              st.booleans()),
)  # fmt: skip
lists = st.lists(records, max_size=4).map(tuple)


def test_a_query_as_scapy_reads_it() -> None:
    query = DNS(pack(Message((Question("web.local", dns.A, unicast=True), Question("web.local", dns.AAAA)))))
    assert (query.id, query.qr, query.opcode, query.rd, query.qdcount, query.ancount) == (0, 0, 0, 0, 2, 0)
    assert [(q.qname, q.qtype, q.unicastresponse, q.qclass) for q in query.qd] == [
        (b"web.local.", 1, 1, 1), (b"web.local.", 28, 0, 1),
    ]  # fmt: skip


def test_a_response_as_scapy_reads_it() -> None:
    response = DNS(pack(Message((), (WEB4,), (WEB6,), is_response=True)))
    assert (response.id, response.qr, response.aa, response.rcode) == (0, 1, 1, 0)
    (first,), (second,) = response.an, response.ar
    assert (first.rrname, first.type, first.rdata) == (b"web.local.", 1, "10.0.0.5")
    assert (first.ttl, first.cacheflush) == (120, 1)
    assert (second.rrname, second.type, second.rdata) == (b"web.local.", 28, "fd61:696f:6e66::5")


def test_a_name_is_written_once() -> None:
    data = pack(Message((), (WEB4, WEB6), is_response=True))
    assert data.count(b"\x03web\x05local\x00") == 1
    assert len(data) == 12 + 11 + 10 + 4 + 2 + 10 + 16


def test_what_scapy_writes_is_read_names_in_lower_case_and_compressed() -> None:
    built = DNS(
        id=7, qr=1, aa=1, qd=[],
        an=[DNSRR(rrname="Web.LOCAL.", type="A", ttl=9, rdata="10.0.0.5"),
            DNSRR(rrname="_http._tcp.local.", type="PTR", ttl=9, rdata="Web.local."),
            DNSRR(rrname="Web.LOCAL.", type="TXT", ttl=9, rdata="hello")],
        ar=[DNSRR(rrname="web.local.", type="AAAA", ttl=9, rdata="fd00::5", cacheflush=1)],
    )  # fmt: skip
    message = parse(bytes(built.compress()))  # type: ignore[no-untyped-call]
    assert message.ident == 7
    assert message.is_response
    assert message.answers == (Record("web.local", dns.A, 9, bytes((10, 0, 0, 5))),)  # of what it has use for
    assert message.additional == (Record("web.local", dns.AAAA, 9, bytes((0xFD,)) + bytes(14) + b"\x05", flush=True),)


def test_a_question_for_any_class_is_one_and_one_of_chaos_is_not() -> None:
    query = DNS(rd=0, qd=[DNSQR(qname="a.local", qtype="A", qclass=255), DNSQR(qname="b.local", qtype="A", qclass=3)])
    assert parse(bytes(query)).questions == (Question("a.local", dns.A),)


@given(st.lists(st.builds(Question, names, st.integers(0, 65535), st.booleans()), max_size=4).map(tuple), lists, lists,
       st.integers(0, 65535))  # fmt: skip
def test_what_is_written_is_read_as_it_was(
    questions: tuple[Question, ...], answers: tuple[Record, ...], additional: tuple[Record, ...], ident: int
) -> None:
    message = Message(questions, answers, additional, True, ident)
    assert parse(pack(message)) == message


@given(st.binary(max_size=300))
def test_any_octets_are_a_message_or_a_bad_one(data: bytes) -> None:
    read(data)


@given(lists, st.data())
def test_a_damaged_message_is_a_message_or_a_bad_one(answers: tuple[Record, ...], draw: st.DataObject) -> None:
    data = bytearray(pack(Message((Question("web.local", dns.A),), answers, is_response=True)))
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    read(bytes(data[: draw.draw(st.integers(0, len(data)))]))


def read(data: bytes) -> None:
    try:
        message = parse(data)
    except BadMessage:
        return
    for record in (*message.answers, *message.additional):
        assert len(record.data) == (4 if record.type == dns.A else 16)
    for name in [question.name for question in message.questions] + [record.name for record in message.answers]:
        assert len(name.replace("\\.", ".").encode()) < 2 * dns.MAX_NAME


def message_with(name: bytes) -> bytes:
    return b"\0\0\0\0\0\1\0\0\0\0\0\0" + name + b"\0\1\0\1"


@pytest.mark.parametrize(
    "name",
    [
        b"\xc0\x0c",  # itself
        b"\x01a\xc0\x0c",  # back to its own beginning
        b"\xc0\x0e\xc0\x0c",  # forwards
        b"\xc0\xff",  # beyond the end
        b"\x40a\0",  # a label type that nobody uses
        b"\x05ab",  # longer than what is there
        b"\x01\xff\0",  # no text
        b"\x3f" + b"a" * 63 + b"\x3f" + b"b" * 63 + b"\x3f" + b"c" * 63 + b"\x3f" + b"d" * 63 + b"\0",  # 257 octets
    ],
)
def test_a_name_that_breaks_a_rule_is_refused(name: bytes) -> None:
    with pytest.raises(BadMessage):
        parse(message_with(name))


def test_a_dot_in_a_label_is_no_border() -> None:
    (question,) = parse(message_with(b"\x09web.local\0")).questions
    assert question.name == "web\\.local"


@pytest.mark.parametrize("flags", [b"\x28\x00", b"\x84\x03"])
def test_what_is_no_query_and_no_good_answer_is_refused(flags: bytes) -> None:
    data = pack(Message((Question("web.local", dns.A),)))
    with pytest.raises(BadMessage):
        parse(data[:2] + flags + data[4:])


def test_an_address_of_another_length_is_refused() -> None:
    data = pack(Message(answers=(WEB4._replace(data=bytes(5)),), is_response=True))
    with pytest.raises(BadMessage, match="no address"):
        parse(data)
