"""Integer widths for annotations: `int` to Python and mypy, the C type of the name in the compiled build."""

from typing import TypeAlias

__all__ = ["i64", "u8", "u16", "u32", "u64"]

u8: TypeAlias = int
u16: TypeAlias = int
u32: TypeAlias = int
u64: TypeAlias = int
i64: TypeAlias = int
