"""Directories in, a report's files and its text out: what the report job and the pipeline call.

A report is made again whenever it is asked for (seconds); it is written over an older one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from codeprm.errors import ConfigError
from codeprm.evaluation.funnel import trace_funnel
from codeprm.evaluation.intervals import DRAWS
from codeprm.evaluation.measure import evaluate
from codeprm.evaluation.page import write_report
from codeprm.evaluation.report import Report
from codeprm.evaluation.samples import Sources, read_samples
from codeprm.evaluation.text_table import funnel_table, results_table
from codeprm.evaluation.verdict_changes import compare_directories
from codeprm.places import Place
from codeprm.tables import Directory


@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """What decides the report besides the data."""

    title: str = "Best-of-n evaluation"
    """Heading of the page."""
    draws: int = DRAWS
    """Bootstrap draws behind each interval."""
    seed: int = 0
    """Seed of the bootstrap."""


@dataclass(frozen=True, kw_only=True)
class ReportInputs:
    """The directories that the report is about."""

    completions: Place
    """Directory that the sample or import_results job wrote."""
    verdicts: Place
    """Directory of their verdicts."""
    scores: Place | None = None
    """Directory of their scores; without it only the generator is evaluated."""
    data: Place | None = None
    """Dataset directory of the problems, for names and difficulties."""
    imported: Place | None = None
    """Directory of imported verdicts to compare ours with."""


def make_report(
    config: ReportConfig, inputs: ReportInputs, *, out: str, extra: Mapping[str, Any] | None = None
) -> str:
    """Write the report to `out`; returns the results and the funnel as text.

    `extra` goes into report.json as it is (elapsed_s, peak_rss_gib, seeds).
    """
    if config.draws < 1:
        raise ConfigError(f"--draws {config.draws} draws nothing: give 1,000 or more")
    sources = Sources(
        completions=Directory(inputs.completions),
        verdicts=Directory(inputs.verdicts),
        scores=Directory(inputs.scores) if inputs.scores else None,
        problems=Directory(inputs.data) if inputs.data else None,
    )
    samples = read_samples(sources)
    differences = None
    if inputs.imported:
        differences = compare_directories(sources.verdicts, Directory(inputs.imported))
    behind = [sources.completions, sources.verdicts, sources.scores]
    report = Report(
        title=config.title,
        evaluation=evaluate(samples, seed=config.seed, draws=config.draws),
        funnel=trace_funnel([directory for directory in behind if directory is not None]),
        differences=differences,
        extra=extra or {},
    )
    write_report(report, Directory(out))
    return f"{results_table(report)}\n\n{funnel_table(report.funnel)}"
