"""What is at the far end of a link and is none of the network's nodes: the operating system, other processes."""

from aionetflow.link.memory import MemoryLink


class Outside:
    """Something that a network is joined to by a link of its own: `link.a` is the network's end.

    `addresses` are those it has on the segment ("10.0.0.254/16"). `shared` is what all processes call the segment if
    networks of further ones are behind it: then interfaces on it have MACs, addresses and names that are theirs alone
    among all of them.
    """

    link: MemoryLink
    addresses: tuple[str, ...] = ()
    shared: str = ""

    def close(self) -> None:
        """Gives back what it has of the operating system's."""
        raise NotImplementedError
