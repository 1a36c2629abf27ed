"""Writes docs/rfc.md: `make rfc`. With --check it only says whether that would change it, by its status."""

from __future__ import annotations

import sys

from rfc.page import PAGE, collect, page

if __name__ == "__main__":
    made = page(collect())
    if "--check" in sys.argv[1:]:
        sys.exit(made != PAGE.read_text())
    PAGE.write_text(made)
