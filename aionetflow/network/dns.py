"""DNS messages, as far as multicast DNS has use for them (RFC 1035 4, RFC 6762 18).

What is parsed comes from the wire: a message that breaks a rule is a BadMessage, whatever is in it.
"""

import struct
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

A, AAAA, ANY = 1, 28, 255
RESPONSE = 0x8400  # QR and AA (RFC 6762 18.2, 18.4)
IN, ANY_CLASS = 1, 255
TOP_BIT = 0x8000  # of a class: a question's answer may be unicast, a record is all there is (RFC 6762 5.4, 10.2)
MAX_LABEL, MAX_NAME = 63, 255  # octets (RFC 1035 2.3.4); a name's with its lengths
_POINTER = 0xC0
_IS_RESPONSE = 0x8000
_OPCODE_AND_RCODE = 0x780F
_HEADER = struct.Struct(">6H")
_QUESTION = struct.Struct(">HH")
_RECORD = struct.Struct(">HHIH")


class BadMessage(ValueError):
    """Octets that are no DNS message."""


class Question(NamedTuple):
    """What is asked for; the answer may be unicast if the asker wishes so."""

    name: str
    type: int
    unicast: bool = False


class Record(NamedTuple):
    """One thing that is known of a name: of A and AAAA data is the address."""

    name: str
    type: int
    ttl: int  # s; 0: it is so no longer
    data: bytes
    flush: bool = False  # what was known before is forgotten


class Message(NamedTuple):
    """A query, with what its asker knows already, or a response."""

    questions: tuple[Question, ...] = ()
    answers: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()
    is_response: bool = False
    ident: int = 0


def is_name(text: str) -> bool:
    """Whether a name can be asked for: labels of 1 to 63 octets, 255 in all.

    >>> is_name("web.local"), is_name("web..local"), is_name("w" * 64), is_name("")
    (True, False, False, False)
    """
    try:
        pack_name(text)
    except ValueError:
        return False
    return True


def pack_name(name: str) -> bytes:
    """A name on the wire, uncompressed; ValueError if it is none.

    >>> pack_name("web.local")
    b'\\x03web\\x05local\\x00'
    """
    labels = [label.encode() for label in name.split(".")]
    if not all(0 < len(label) <= MAX_LABEL for label in labels) or sum(map(len, labels)) + len(labels) >= MAX_NAME:
        raise ValueError(f"no name: {name!r}")
    return b"".join(bytes((len(label),)) + label for label in labels) + b"\0"


def pack(message: Message) -> bytes:
    """A message on the wire. A name that was written before is a pointer to it (RFC 1035 4.1.4)."""
    places: dict[str, int] = {}
    packed = bytearray(
        _HEADER.pack(
            message.ident, RESPONSE if message.is_response else 0, len(message.questions), len(message.answers), 0,
            len(message.additional),
        )
    )  # fmt: skip

    def put_name(name: str) -> None:
        if name in places:
            packed.extend((_POINTER << 8 | places[name]).to_bytes(2, "big"))
            return
        if len(packed) <= 0x3FFF:
            places[name] = len(packed)
        packed.extend(pack_name(name))

    for question in message.questions:
        put_name(question.name)
        packed += _QUESTION.pack(question.type, IN | (TOP_BIT if question.unicast else 0))
    for record in (*message.answers, *message.additional):
        put_name(record.name)
        dns_class = IN | (TOP_BIT if record.flush else 0)
        packed += _RECORD.pack(record.type, dns_class, record.ttl, len(record.data)) + record.data
    return bytes(packed)


def split(records: Iterable[Record], room: int) -> Iterator[tuple[Record, ...]]:
    """The records in groups whose messages have at most so many octets, in order; of one record at least.

    >>> records = [Record(name, A, 120, bytes(4)) for name in ("a.local", "a.local", "b.local")]
    >>> [len(group) for group in split(records, 60)], len(pack(Message(answers=tuple(records[:2]))))
    ([2, 1], 51)
    """
    group: list[Record] = []
    size, last = _HEADER.size, ""
    for record in records:
        name = 2 if record.name == last else len(pack_name(record.name))
        octets = name + _RECORD.size + len(record.data)
        if group and size + octets > room:
            yield tuple(group)
            group, size = [], _HEADER.size
            octets += len(pack_name(record.name)) - name
        group.append(record)
        size, last = size + octets, record.name
    if group:
        yield tuple(group)


@lru_cache(512)  # every network of this process on a segment hears the same
def parse(data: bytes) -> Message:
    """What is in a message; records that are neither of A nor of AAAA, and those of other classes, are left out.

    Raises BadMessage. An opcode or a response code is none of multicast DNS's (RFC 6762 18.3, 18.11).
    """
    try:
        return _parse(data)
    except (struct.error, IndexError, UnicodeDecodeError):
        raise BadMessage("cut off, or not text") from None


def _parse(data: bytes) -> Message:
    ident, flags, *counts = _HEADER.unpack_from(data)
    if flags & _OPCODE_AND_RCODE:
        raise BadMessage("not a standard query, or an error")
    at = _HEADER.size
    questions: list[Question] = []
    for _ in range(counts[0]):
        name, at = _name(data, at)
        kind, dns_class = _QUESTION.unpack_from(data, at)
        at += _QUESTION.size
        if dns_class & ~TOP_BIT in (IN, ANY_CLASS):
            questions.append(Question(name, kind, bool(dns_class & TOP_BIT)))
    sections: list[tuple[Record, ...]] = []
    for count in counts[1:]:
        records: list[Record] = []
        for _ in range(count):
            record, at = _record(data, at)
            if record is not None:
                records.append(record)
        sections.append(tuple(records))
    is_response = bool(flags & _IS_RESPONSE)
    # what is in the authority section of a query is claimed, and not so yet (RFC 6762 8.2)
    return Message(tuple(questions), sections[0], sections[2] if is_response else (), is_response, ident)


def _record(data: bytes, at: int) -> tuple[Record | None, int]:
    name, at = _name(data, at)
    kind, dns_class, ttl, length = _RECORD.unpack_from(data, at)
    at += _RECORD.size
    content = data[at : at + length]
    if len(content) < length:
        raise BadMessage("cut off")
    at += length
    if dns_class & ~TOP_BIT != IN or kind not in (A, AAAA):
        return None, at
    if length != (4 if kind == A else 16):
        raise BadMessage("no address")
    return Record(name, kind, ttl, content, bool(dns_class & TOP_BIT)), at


def _name(data: bytes, at: int) -> tuple[str, int]:
    """The name at a place, in lower case, and the place behind it.

    A pointer leads to before the name it is in, so that none can be followed for ever.
    """
    labels: list[str] = []
    behind = 0  # that of the first pointer
    limit, size = at, 1
    while length := data[at]:
        if length >= _POINTER:
            behind = behind or at + 2
            at = (length & ~_POINTER) << 8 | data[at + 1]
            if at >= limit:
                raise BadMessage("a pointer that does not lead back")
            limit = at
            continue
        if length > MAX_LABEL:
            raise BadMessage("a label of no known kind")
        label = data[at + 1 : at + 1 + length]
        size += 1 + length
        if len(label) < length or size > MAX_NAME:
            raise BadMessage("cut off, or too long")
        labels.append(label.decode().replace(".", "\\."))
        at += 1 + length
    return ".".join(labels).lower(), behind or at + 1
