"""Where lines go: a terminal, with colour and a progress bar, or anything else, plain."""

import sys
from collections.abc import Callable
from typing import NamedTuple, Protocol, TextIO

TITLE = "title"
RESULT = "result"
# What is said of a line, and how it looks on a terminal.
STYLES = {
    TITLE: "bold cyan", "SOCKET": "bold", "ARP": "yellow", "SYN": "cyan", "AGREED": "bold cyan", "HOP": "bright_blue",
    "HTTP": "bold", "DATA": "", "ACK": "dim", "FIN": "cyan", "RST": "bold red", "LOST": "red", "AGAIN": "bold magenta",
    "WINDOW": "blue", "STATE": "green", RESULT: "bold",
}  # fmt: skip


class Line(NamedTuple):
    """One line of the story, and what it is about."""

    kind: str
    text: str


class Output(Protocol):
    """Takes lines, and how much of the page is here."""

    def line(self, line: Line) -> None:
        """Shows a line."""

    def progress(self, done: int, total: int) -> None:
        """Shows that so many octets of so many are here."""

    def close(self) -> None:
        """Leaves the terminal as it was."""


class PlainOutput:
    """Lines as they are."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def line(self, line: Line) -> None:
        """Writes a line at once, so that whoever reads the pipe sees it when it happens."""
        print(line.text, file=self._file, flush=True)

    def progress(self, done: int, total: int) -> None:
        """Says nothing."""

    def close(self) -> None:
        """Does nothing."""


class TerminalOutput:
    """Colour by the kind of a line, and a progress bar below."""

    def __init__(self, file: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

        self._console = Console(file=file, highlight=False, markup=False)
        columns = TextColumn("page"), BarColumn(), DownloadColumn(binary_units=True)
        self._bar = Progress(*columns, console=self._console, transient=True)
        self._task = self._bar.add_task("page", total=None)
        self._bar.start()

    def line(self, line: Line) -> None:
        """Writes a line above the bar."""
        from rich.text import Text

        self._console.print(Text(line.text, style=STYLES.get(line.kind, "")), soft_wrap=True)

    def progress(self, done: int, total: int) -> None:
        """Moves the bar."""
        self._bar.update(self._task, completed=done, total=total)

    def close(self) -> None:
        """Removes the bar."""
        self._bar.stop()


class GuardedOutput:
    """Passes on to another output until that fails; then remembers why, says so once, and is silent.

    What is shown is shown from the middle of a network: an error there would be taken for one of the network's.
    """

    def __init__(self, inner: Output) -> None:
        self.error: OSError | None = None
        self.on_error: Callable[[], object] | None = None
        self._inner = inner

    def line(self, line: Line) -> None:
        """Shows a line."""
        self._try(lambda: self._inner.line(line))

    def progress(self, done: int, total: int) -> None:
        """Shows progress."""
        self._try(lambda: self._inner.progress(done, total))

    def close(self) -> None:
        """Closes the other output."""
        self._try(self._inner.close)

    def _try(self, show: Callable[[], None]) -> None:
        if self.error is not None:
            return
        try:
            show()
        except OSError as error:
            self.error = error
            if self.on_error is not None:
                self.on_error()


def open_output(*, quiet: bool) -> GuardedOutput:
    """What suits the standard output. The bar is part of the story: with quiet there is none."""
    file = sys.stdout
    # A terminal that cannot show an arrow gets a question mark, not a traceback.
    if hasattr(file, "reconfigure"):
        file.reconfigure(errors="replace")
    return GuardedOutput(TerminalOutput(file) if file.isatty() and not quiet else PlainOutput(file))
