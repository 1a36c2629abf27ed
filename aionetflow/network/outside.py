"""What is at the far end of a link and is none of the network's nodes: the operating system, other processes."""

from aionetflow.link.memory import MemoryLink


class Outside:
    """Something that a network is joined to by a link of its own: `link.a` is the network's end.

    `addresses` are those it has on the segment ("10.0.0.254/16"). `vni` is the number of a network of which other
    processes have a part behind it, if they have: then interfaces on the segment have MACs, addresses and names that
    are theirs alone among all of them.
    """

    link: MemoryLink
    addresses: tuple[str, ...] = ()
    vni: int | None = None

    def close(self) -> None:
        """Gives back what it has of the operating system's."""
        raise NotImplementedError
