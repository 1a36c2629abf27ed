"""What is done to the code, and that it is undone with the process."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from mutants.mutate import mutants
from support.build import PURE

SOURCE = '''
def f(a, b):
    """No change of this, if a < b."""
    if a < b and seq_gt(a, 1):
        b = a + 2
    return True

class C:
    @property
    def g(self) -> int:
        return min(self.x, -self.y)
'''


def test_each_line_is_wrong_in_every_way_there_is(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text(SOURCE)
    made = [(mutant.function, mutant.before, mutant.after) for mutant in mutants(tmp_path, "m.py")]
    test = "if a < b and seq_gt(a, 1):"
    assert sorted(made) == sorted(
        [
            *(("f", test, after) for after in (
                "if not (a < b and seq_gt(a, 1)):", "if a < b or seq_gt(a, 1):", "if a <= b and seq_gt(a, 1):",
                "if a < b and seq_geq(a, 1):", "if a < b and seq_gt(a, 2):",
            )),
            *(("f", "b = a + 2", after) for after in ("pass", "b = a - 2", "b = a + 3")),
            ("f", "return True", "return False"),
            ("C.g", "return min(self.x, -self.y)", "return max(self.x, -self.y)"),
        ]
    )  # fmt: skip


@pytest.mark.skipif(not PURE, reason="the code of compiled functions cannot be replaced")
def test_the_function_that_is_imported_runs_the_change() -> None:
    from aionetflow.tcp.segment import flag_names
    from support.build import package_folder

    code = flag_names.__code__
    mutant = next(m for m in mutants(package_folder(), "tcp/segment.py") if m.after.endswith("flags | bit))"))
    try:
        mutant.install()
        assert flag_names(1) == "SYN|FIN|RST|PSH|ACK|URG|ECE|CWR"
    finally:
        flag_names.__code__ = code
    assert flag_names(1) == "FIN"


def test_each_explanation_has_its_reason() -> None:
    entries = tomllib.loads(Path(__file__).with_name("survivors.toml").read_text()).get("mutant", [])
    for entry in entries:
        assert set(entry) == {"file", "function", "before", "after", "why"}
        assert entry["why"].endswith(".")
