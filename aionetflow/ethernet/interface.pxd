import cython
from libc.stdint cimport int64_t, uint64_t

from aionetflow._fast cimport forward, get16, put, segment
from aionetflow.ethernet.neighbour cimport Neighbour, NeighbourTable
from aionetflow.gso cimport cut, frames_of, octets_of
from aionetflow.link.base cimport LinkEnd, Station
from aionetflow.packet cimport PacketHandler, RxPacket, TxPacket, packet_end

cdef int64_t NEVER
cdef int ETHERTYPE_ARP
cdef int ETHERTYPE_IPV4
cdef int ETHERTYPE_IPV6

cdef class Node:
    cpdef arrived(self, Interface interface, list frames)
    cpdef bint owns(self, bytes address) except -1
    cpdef bint forwards(self) except -1
    cpdef failed(self, str what, object error)

cdef class Asker:
    cpdef ask(self, EthernetInterface interface, bytes target, bytes mac, int64_t now)

cdef class Interface(Station):
    cdef readonly Node node
    cdef readonly PacketHandler upper
    cdef public PacketHandler upper6
    cdef readonly str name
    cdef readonly int index
    cdef public Py_ssize_t mtu
    cdef public bytes mac
    cdef public bint up
    cdef public list addresses
    cdef public bytes link_local
    cdef public object deprecated
    cdef readonly dict groups
    cdef public LinkEnd link
    cdef public list queue
    cdef public int64_t merged_by
    cdef public list sent
    cdef public list taps
    cdef public int64_t deadline
    cdef RxPacket rx
    cdef public uint64_t rx_packets
    cdef public uint64_t rx_bytes
    cdef public uint64_t rx_errors
    cdef public uint64_t rx_dropped
    cdef public uint64_t rx_otherhost_dropped
    cdef public uint64_t tx_packets
    cdef public uint64_t tx_bytes
    cdef public uint64_t tx_dropped
    @cython.locals(first=Py_ssize_t)
    cpdef input(self, list frames, int64_t now)
    cpdef output(self, TxPacket packet, bytes next_hop, int64_t now)
    cpdef forward(self, RxPacket packet, bytes next_hop, int64_t now)
    cpdef output_whole(self, list packets, bytes next_hop, int64_t now)
    @cython.locals(frames=list, merged_by=int64_t)
    cpdef flush(self, int64_t now)
    cpdef expire(self, int64_t now)
    cpdef announce(self, int64_t now)
    @cython.locals(packet=RxPacket)
    cpdef Py_ssize_t _input_one(self, list frames, Py_ssize_t first, int64_t now) except? -1
    cpdef list _cut(self, TxPacket packet, Py_ssize_t l2, list frames)
    @cython.locals(i=Py_ssize_t, frame=bytes)
    cpdef _forward_all(self, RxPacket packet, bytes header, list queue)
    cpdef _count_in(self, list frames, int64_t now)
    cpdef _count_out(self, list frames, int64_t now, int64_t merged_by)

cdef class EthernetInterface(Interface):
    cdef readonly NeighbourTable neighbours
    cdef public Asker asker
    cdef readonly dict group_macs
    @cython.locals(header=bytearray, neighbour=Neighbour)
    cpdef output(self, TxPacket packet, bytes next_hop, int64_t now)
    @cython.locals(frame=bytes, destination=bytes, packet=RxPacket, broadcast=bint, ethertype=int, upper=PacketHandler)
    cpdef Py_ssize_t _input_one(self, list frames, Py_ssize_t first, int64_t now) except? -1
    cpdef bint _hears(self, bytes group) except -1
    cpdef bint _may_merge(self, TxPacket packet) except -1
    @cython.locals(neighbour=Neighbour)
    cpdef Neighbour _neighbour(self, bytes next_hop, int64_t now)
