"""The report's files: one self-contained `index.html`, the figures, `report.json`, CSV tables.

The page needs no network and no script: styles and figures are inline. Everything that comes from
data goes through the template engine's escaping; only our own SVG is passed as it is.
"""

from __future__ import annotations

import json
import math

from codeprm.evaluation.figures import draw_figures
from codeprm.evaluation.report import Report, csv_tables, reasons, report_values
from codeprm.evaluation.text_table import percent, percent_range
from codeprm.tables import Directory

CAPTIONS = {
    "curves": "Problems solved against the number of samples, with 95 % intervals over problems. "
    "The upper curve is what a perfect selector would reach.",
    "difficulty": "By difficulty; the number of problems is below each name.",
    "funnel": "What each stage kept of its rows.",
}


def write_report(report: Report, out: Directory) -> None:
    """Write all files; `report.json` comes last, so its presence means that the rest is there."""
    for name, text in report_files(report).items():
        out.write_bytes(text.encode(), name)


def report_files(report: Report) -> dict[str, str]:
    """File name -> text, in the order in which they are to be written."""
    figures = draw_figures(report.evaluation, report.funnel)
    return {
        **{f"{name}.svg": svg for name, svg in figures.items()},
        **csv_tables(report),
        "index.html": render_page(report, figures),
        "report.json": json.dumps(report_values(report), indent=1) + "\n",
    }


def render_page(report: Report, figures: dict[str, str]) -> str:
    """`index.html`."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("codeprm.evaluation", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": percent,
        "percent_range": percent_range,
        "reasons": reasons,
        "ratio": lambda value: "-" if math.isnan(value) else f"{value:.3f}",
    }
    template = environment.get_template("report.html")
    return template.render(
        report=report,
        evaluation=report.evaluation,
        values=report_values(report),
        figures=figures,
        captions=CAPTIONS,
    )
