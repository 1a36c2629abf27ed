"""Who has which MAC address: the neighbour table of one interface, for both address families.

An entry goes through the states of RFC 4861 7.3.2, which Linux uses for ARP too:

    INCOMPLETE --answer--> REACHABLE --30 s--> STALE --used--> DELAY --5 s--> PROBE --3 questions unanswered--> FAILED
        | 3 questions unanswered                 ^                |             |
        v                                        |                +--answer-----+--> REACHABLE
      FAILED, its waiting frames fail            (a question from the neighbour itself also tells its MAC)

A failed one is asked for anew when it is needed again; a stale or failed one that nobody needs is forgotten.
The table sends nothing. What must be asked is left in `questions`, for ARP or Neighbor Discovery to put into words.
"""

from aionetflow.config import (
    NEIGHBOUR_DELAY_FIRST_PROBE,
    NEIGHBOUR_GC_STALE_TIME,
    NEIGHBOUR_MCAST_SOLICIT,
    NEIGHBOUR_QUEUE_LENGTH,
    NEIGHBOUR_REACHABLE_TIME,
    NEIGHBOUR_RETRANS_TIME,
    NEIGHBOUR_TABLE_SIZE,
    NEIGHBOUR_UCAST_SOLICIT,
    NEVER,
)
from aionetflow.ethernet.frame import ethertype_of, mac_header
from aionetflow.widths import i64

INCOMPLETE = 1
REACHABLE = 2
STALE = 4
DELAY = 8
PROBE = 16
FAILED = 32
PERMANENT = 128
STATE_NAMES = {
    INCOMPLETE: "INCOMPLETE", REACHABLE: "REACHABLE", STALE: "STALE", DELAY: "DELAY", PROBE: "PROBE",
    FAILED: "FAILED", PERMANENT: "PERMANENT",
}  # fmt: skip
_STALE = STALE
_FAILED = FAILED


class Neighbour:
    """One address on the same link, what is known of its MAC, and the frames that wait for it."""

    def __init__(self, address: bytes) -> None:
        self.address = address
        self.state = INCOMPLETE
        self.mac = b""
        self.header = b""  # the finished MAC header for this neighbour, empty while its MAC is not known
        self.waiting: list[bytes] = []
        self.deadline: i64 = NEVER
        self.asked = 0
        self.router = False  # it has said so (RFC 4861 5.1)

    def __repr__(self) -> str:
        return f"<Neighbour {self.address.hex('.')} {self.mac.hex(':')} {STATE_NAMES[self.state]}>"


class NeighbourTable:
    """The neighbours of one interface whose own MAC is given."""

    def __init__(self, mac: bytes) -> None:
        self.mac = mac
        self.entries: dict[bytes, Neighbour] = {}
        self.questions: list[tuple[bytes, bytes]] = []  # (address to ask for, MAC to ask or empty for all)
        self.deadline: i64 = NEVER  # no entry's deadline is earlier
        self.unresolved_discards = 0

    def resolve(self, address: bytes, now: i64) -> Neighbour:
        """The neighbour, its `header` empty if its MAC has yet to be learned; asks for it when needed."""
        entry = self.entries.get(address)
        if entry is None:
            entry = self._create(address)
            self._ask(entry, now)
        elif entry.state == _STALE:
            # RFC 4861 7.3.3: use it, but if nothing confirms it within the delay, probe
            entry.state = DELAY
            self._arm(entry, now + NEIGHBOUR_DELAY_FIRST_PROBE)
        elif entry.state == _FAILED:
            entry.state = INCOMPLETE
            self._ask(entry, now)
        return entry

    def enqueue(self, entry: Neighbour, frames: list[bytes]) -> None:
        """Lets frames wait for the neighbour's MAC; the oldest go when too many wait (RFC 1122 2.3.2.2)."""
        entry.waiting.extend(frames)
        excess = len(entry.waiting) - NEIGHBOUR_QUEUE_LENGTH
        if excess > 0:
            del entry.waiting[:excess]
            self.unresolved_discards += excess

    def learn(self, address: bytes, mac: bytes, now: i64, *, create: bool, confirmed: bool) -> list[bytes]:
        """Notes a neighbour's MAC and returns the frames that waited for it, now addressed.

        create says whether an address not in the table is entered; confirmed whether this was the answer to a
        question of ours (reachability proved) or only a statement of the neighbour's (RFC 826).
        """
        entry = self.entries.get(address)
        if entry is None:
            if not create:
                return []
            entry = self._create(address)
        if entry.state == PERMANENT:
            return []
        changed = entry.mac != mac
        self._set_mac(entry, mac)
        if confirmed:
            self._confirm(entry, now)
        elif changed or entry.state == INCOMPLETE:
            self._doubt(entry, now)
        return self._release(entry)

    def advertise(
        self, address: bytes, mac: bytes, now: i64, *, solicited: bool, override: bool, router: bool
    ) -> list[bytes]:
        """Takes a neighbor advertisement (RFC 4861 7.2.5) and returns the frames that waited for it, now addressed.

        mac is empty if the neighbour did not name it. Nothing is learned of neighbours that nobody asked for.
        """
        entry = self.entries.get(address)
        if entry is None or entry.state in (FAILED, PERMANENT):
            return []
        changed = mac != b"" and mac != entry.mac
        if entry.state == INCOMPLETE:
            if not mac:
                return []
        elif changed and not override:
            if entry.state == REACHABLE:
                self._doubt(entry, now)
            return []
        if changed:
            self._set_mac(entry, mac)
        if solicited:
            self._confirm(entry, now)
        elif changed:
            self._doubt(entry, now)
        entry.router = router
        return self._release(entry)

    def add_permanent(self, address: bytes, mac: bytes) -> None:
        """Enters a neighbour that is never asked for and never ages."""
        entry = self._create(address)
        self._set_mac(entry, mac)
        entry.state = PERMANENT

    def flush(self) -> None:
        """Forgets all that was learned; permanent entries stay."""
        for entry in [entry for entry in self.entries.values() if entry.state != PERMANENT]:
            self.unresolved_discards += len(entry.waiting)
            del self.entries[entry.address]
        self.questions.clear()
        self.deadline = NEVER

    def expire(self, now: i64) -> list[bytes]:
        """Ages the entries that are due; returns the frames whose next hop does not answer."""
        failed: list[bytes] = []
        for entry in [entry for entry in self.entries.values() if entry.deadline <= now]:
            entry.deadline = NEVER
            failed += self._age(entry, now)
        self.deadline = min((entry.deadline for entry in self.entries.values()), default=NEVER)
        return failed

    def _age(self, entry: Neighbour, now: i64) -> list[bytes]:
        if entry.state == REACHABLE:
            entry.state = STALE
            self._arm(entry, now + NEIGHBOUR_GC_STALE_TIME)
        elif entry.state == DELAY:
            entry.state = PROBE
            self._ask(entry, now)
        elif entry.state in (STALE, FAILED):
            del self.entries[entry.address]
        elif entry.asked < self._questions_allowed(entry):
            self._ask(entry, now)
        else:
            waiting, entry.waiting = entry.waiting, []
            entry.state, entry.asked = FAILED, 0
            entry.mac = entry.header = b""
            self._arm(entry, now + NEIGHBOUR_GC_STALE_TIME)
            return waiting
        return []

    def _set_mac(self, entry: Neighbour, mac: bytes) -> None:
        entry.mac = mac
        entry.header = mac_header(mac, self.mac, ethertype_of(entry.address))

    def _confirm(self, entry: Neighbour, now: i64) -> None:
        """It has been proved reachable."""
        entry.asked = 0
        entry.state = REACHABLE
        self._arm(entry, now + NEIGHBOUR_REACHABLE_TIME)

    def _doubt(self, entry: Neighbour, now: i64) -> None:
        """Its MAC is known, but not whether it hears us."""
        entry.asked = 0
        entry.state = STALE
        self._arm(entry, now + NEIGHBOUR_GC_STALE_TIME)

    def _release(self, entry: Neighbour) -> list[bytes]:
        waiting, entry.waiting = entry.waiting, []
        return [entry.mac + frame[6:] for frame in waiting]

    def _questions_allowed(self, entry: Neighbour) -> int:
        return NEIGHBOUR_UCAST_SOLICIT if entry.state == PROBE else NEIGHBOUR_MCAST_SOLICIT

    def _ask(self, entry: Neighbour, now: i64) -> None:
        entry.asked += 1
        self.questions.append((entry.address, entry.mac))
        self._arm(entry, now + NEIGHBOUR_RETRANS_TIME)

    def _arm(self, entry: Neighbour, deadline: i64) -> None:
        entry.deadline = deadline
        self.deadline = min(self.deadline, deadline)

    def _create(self, address: bytes) -> Neighbour:
        if len(self.entries) >= NEIGHBOUR_TABLE_SIZE:
            self._forget_one()
        entry = Neighbour(address)
        self.entries[address] = entry
        return entry

    def _forget_one(self) -> None:
        """Makes room: the oldest entry that nothing waits for goes, else the oldest that may."""
        movable = [entry for entry in self.entries.values() if entry.state != PERMANENT]
        victim = next((entry for entry in movable if not entry.waiting), movable[0] if movable else None)
        if victim is not None:
            self.unresolved_discards += len(victim.waiting)
            del self.entries[victim.address]
