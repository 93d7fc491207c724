"""The report's figures as SVG text, small enough to be inlined and readable at a phone's width.

matplotlib draws on a `Figure` of its own (no pyplot, so no global state) with text kept as text.
Colours are Okabe and Ito's, which stay apart for colour-blind readers.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from codeprm.evaluation.funnel import FunnelRow
from codeprm.evaluation.intervals import Band, Interval
from codeprm.evaluation.measure import Evaluation, GroupResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY, GREEN = "#0072B2", "#D55E00", "#999999", "#009E73"
WIDTH_IN, HEIGHT_IN = 4.6, 3.2
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "codeprm",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e5e5e5",
    "axes.axisbelow": True,
    "legend.frameon": False,
}


def draw_figures(evaluation: Evaluation, funnel: Sequence[FunnelRow]) -> dict[str, str]:
    """All figures that there is something to draw for, name -> SVG."""
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        figures = {"curves": _curves(evaluation), "difficulty": _difficulty(evaluation)}
        with_rows = [row for row in funnel if row.rows_out is not None]
        if with_rows:
            figures["funnel"] = _funnel(with_rows)
        return {name: _svg(figure) for name, figure in figures.items()}


def _curves(evaluation: Evaluation) -> Figure:
    figure, axes = _axes(HEIGHT_IN)
    ns = evaluation.ns
    _band(axes, ns, evaluation.pass_curve, BLUE, "any of n passes (pass@n)")
    if not np.isnan(evaluation.orm_curve.value).all():
        _band(axes, ns, evaluation.orm_curve, ORANGE, "the model's choice (orm@n)")
    axes.axhline(
        100 * evaluation.overall.pass_1.value, color=GREY, linestyle="--", label="a random one"
    )
    ticks = [n for n in ns if n & (n - 1) == 0]
    if ns[-1] not in ticks:
        ticks = [n for n in ticks if n <= 0.7 * ns[-1]] + [ns[-1]]
    if len(ns) > 1:
        axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, labels=[str(n) for n in ticks])
    axes.minorticks_off()
    axes.set_xlabel("n, samples to choose from")
    axes.set_ylabel("problems solved, %")
    axes.legend(loc="best")
    return figure


def _difficulty(evaluation: Evaluation) -> Figure:
    groups = evaluation.difficulties
    figure, axes = _axes(HEIGHT_IN)
    bars = [("pass@1", GREY, [g.pass_1 for g in groups])]
    if not np.isnan(evaluation.overall.orm_n.value):
        bars.append(("orm@n", ORANGE, [g.orm_n for g in groups]))
    bars.append(("pass@n", BLUE, [g.pass_n for g in groups]))
    width = 0.8 / len(bars)
    for i, (label, color, intervals) in enumerate(bars):
        at = np.arange(len(groups)) + (i - (len(bars) - 1) / 2) * width
        heights = [100 * interval.value for interval in intervals]
        axes.bar(at, heights, width * 0.92, color=color, label=label)
        axes.errorbar(
            at, heights, yerr=_errors(intervals), fmt="none", ecolor="#333333", elinewidth=0.8
        )
    axes.set_xticks(range(len(groups)), labels=[_group_label(group) for group in groups])
    axes.grid(False, axis="x")
    axes.set_ylabel("problems solved, %")
    axes.set_ylim(0, 100)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.14), ncols=len(bars))
    return figure


def _funnel(funnel: Sequence[FunnelRow]) -> Figure:
    figure, axes = _axes(0.6 + 0.34 * len(funnel))
    for y, row in enumerate(funnel):
        dropped = sum(row.dropped.values())
        kept = 100 * (row.rows_out or 0) / max(1, (row.rows_out or 0) + dropped)
        axes.barh(y, kept, color=GREEN, height=0.62, alpha=0.55)
        axes.barh(y, 100 - kept, left=kept, color=GREY, height=0.62, alpha=0.55)
        axes.text(2, y, f"{row.rows_out:,} out, {dropped:,} dropped", va="center")
    axes.set_yticks(range(len(funnel)), labels=[row.stage for row in funnel])
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.set_xlim(0, 100)
    axes.set_xlabel("rows out, % of rows out and dropped")
    return figure


def _axes(height_in: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
    return figure, figure.add_subplot()


def _band(axes: Axes, ns: Sequence[int], band: Band, color: str, label: str) -> None:
    axes.fill_between(ns, 100 * band.low, 100 * band.high, color=color, alpha=0.15, linewidth=0)
    axes.plot(ns, 100 * band.value, color=color, marker="." if len(ns) < 3 else "", label=label)


def _errors(intervals: Sequence[Interval]) -> list[list[float]]:
    below = [max(0.0, 100 * (i.value - i.low)) for i in intervals]
    above = [max(0.0, 100 * (i.high - i.value)) for i in intervals]
    return [below, above]


def _group_label(group: GroupResult) -> str:
    return f"{group.name.lower().replace('_', ' ')}\n{group.n_problems}"


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    svg = text[text.index("<svg") :]
    # without width and height the viewBox scales to the page
    end = svg.index(">")
    return re.sub(r' (width|height)="[^"]*"', "", svg[:end]) + svg[end:]
