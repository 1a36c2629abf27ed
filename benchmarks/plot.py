"""The table as a picture: one panel for each workload, the bars as long as the cost."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.contenders import PLACE_TITLES
from benchmarks.measure import Table

KERNEL, OURS = "#9aa5b1", "#2a78b8"
THEIRS = ("kernel", "unix")
WIDTH, ROW_HEIGHT, PANEL_EXTRA = 10.0, 0.28, 0.9  # inches


def available() -> bool:
    """Whether there is something here to draw with."""
    return find_spec("matplotlib") is not None


def draw(tables: Sequence[Table], machine: dict[str, object], path: Path) -> None:
    """Draws the tables into a file of the kind that its name's ending says: .svg, .png, .pdf.

    Raises ImportError without matplotlib, ValueError for an ending that it does not know.
    """
    # By name, because it is optional: whoever checks types need not have it.
    figure_type: Any = import_module("matplotlib.figure").Figure
    heights = [len(table.rows) * ROW_HEIGHT + PANEL_EXTRA for table in tables]
    figure = figure_type(figsize=(WIDTH, sum(heights)), layout="constrained")
    panels = figure.subplots(len(tables), 1, squeeze=False, height_ratios=heights)
    for table, (axes,) in zip(tables, panels, strict=True):
        _draw_table(table, axes)
    figure.suptitle(f"{machine['cpu']}, {machine['python']}, {machine['build']} build", fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _draw_table(table: Table, axes: Any) -> None:
    workload = table.workload
    labels = [f"{PLACE_TITLES[c.place]}, {c.style}, {c.loop}" for c in (row.contender for row in table.rows)]
    medians = [workload.shown(row.median) for row in table.rows]
    colours = [KERNEL if row.contender.place in THEIRS else OURS for row in table.rows]
    places = range(len(table.rows))
    axes.barh(places, medians, color=colours)
    axes.plot([workload.shown(row.best) for row in table.rows], places, "|", color="black", markersize=9)
    for place, row in zip(places, table.rows, strict=True):
        ratios = ", ".join(f"x{ratio.median:.2f} {loop}" for loop, ratio in table.ratios(row).items())
        end = max(medians[place], workload.shown(row.best))
        axes.annotate(ratios, (end, place), xytext=(6, -3), textcoords="offset points", fontsize=7)
    axes.set_yticks(places, labels, fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.25)
    better = "more is better" if workload.inverse else "less is better"
    axes.set_title(f"{workload.title}: {workload.unit}, median and | best ({better})", fontsize=9, loc="left")
    axes.tick_params(axis="x", labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
