"""Directories in, a report's files and its text out: what the report job and the pipeline call.

A report is made again whenever it is asked for (seconds); it is written over an older one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from codeprm.errors import ConfigError
from codeprm.evaluation.calibration.familiarity import generator_warnings, trained_on_warnings
from codeprm.evaluation.calibration.orm_lineage import training_rows_behind
from codeprm.evaluation.calibration.profile import read_comment_share, read_profile_behind
from codeprm.evaluation.card.agreement import Agreement, agreements, read_margins
from codeprm.evaluation.card.make import report_card
from codeprm.evaluation.card.nulls import text_majority
from codeprm.evaluation.compare_runs import Run, compare_runs, read_run, run_of
from codeprm.evaluation.exhibits import Exhibits, gather
from codeprm.evaluation.intervals import DRAWS, METHOD, Method, Resampling
from codeprm.evaluation.lineage.funnel import trace_funnel
from codeprm.evaluation.measure import Evaluation, evaluate
from codeprm.evaluation.observed import Observed, read_observed
from codeprm.evaluation.page import write_report
from codeprm.evaluation.page.cautions import borrowed_tests_warning, cautions
from codeprm.evaluation.report import Report
from codeprm.evaluation.samples import Samples, Sources, read_samples
from codeprm.evaluation.selectors.costs import read_prices
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
    method: Method = METHOD
    """How ends are taken from the draws: as they are, widened for few problems, or corrected for
    bias and skew."""

    @property
    def resampling(self) -> Resampling:
        """The bootstrap behind the intervals."""
        return {"seed": self.seed, "draws": self.draws, "method": self.method}


@dataclass(frozen=True, kw_only=True)
class ReportInputs:
    """The directories that the report is about."""

    completions: Place = ""
    """Directory that the sample or import_results job wrote."""
    verdicts: Place = ""
    """Directory of their verdicts."""
    scores: Place | None = None
    """Directory of their scores; without it only the generator is evaluated."""
    data: Place | None = None
    """Dataset directory of the problems, for names, difficulties and dates."""
    observations: Place | None = None
    """Directory of the observe job, for selectors that run programs."""
    imported: Place | None = None
    """Directory of imported verdicts to compare ours with."""
    other_scores: Place | None = None
    """Other scores of the same completions, such as those without comments, to hold beside."""
    baseline: Place | None = None
    """Report of another run to compare this one with."""

    def named(self) -> dict[str, str]:
        """Those that are given."""
        return {name: str(place) for name, place in asdict(self).items() if place}


def make_report(
    config: ReportConfig, inputs: ReportInputs, *, out: str, extra: Mapping[str, Any] | None = None
) -> str:
    """Write the report to `out`; returns the results and the funnel as text.

    `extra` goes into report.json as it is (elapsed_s, peak_rss_gib).
    """
    if config.draws < 1:
        raise ConfigError(f"--draws {config.draws} draws nothing: give 1,000 or more")
    _require_fit(inputs, Directory(out))
    sources = Sources.at(
        completions=inputs.completions,
        verdicts=inputs.verdicts,
        scores=inputs.scores,
        problems=inputs.data,
    )
    behind = [sources.completions, sources.verdicts, sources.scores]
    observations = _directory(inputs.observations)
    baseline = read_run(Directory(inputs.baseline)) if inputs.baseline else None
    samples = read_samples(sources)
    observed = read_observed(samples, completions=sources.completions, observations=observations)
    prices = read_prices(samples, observed, scores=sources.scores, problems=sources.problems)
    evaluation = evaluate(samples, observed=observed, prices=prices, **config.resampling)
    exhibits = _exhibits(config, inputs, sources, samples, observed, evaluation, baseline)
    report = Report(
        title=config.title,
        evaluation=evaluation,
        funnel=trace_funnel([d for d in (*behind, observations) if d is not None]),
        differences=compare_directories(sources.verdicts, Directory(inputs.imported))
        if inputs.imported
        else None,
        exhibits=exhibits,
        warnings=[
            *cautions(evaluation, exhibits.comparison),
            *borrowed_tests_warning(observations.started if observations else None),
            *exhibits.warnings,
        ],
        inputs=inputs.named(),
        extra={"resampling": config.resampling, **(extra or {})},
    )
    write_report(report, Directory(out))
    return f"{results_table(report)}\n\n{funnel_table(report.funnel)}"


def _require_fit(inputs: ReportInputs, out: Directory) -> None:
    if not inputs.completions or not inputs.verdicts:
        raise ConfigError("give --completions and --verdicts, or --coderm-results")
    if inputs.other_scores and not inputs.scores:
        raise ConfigError("--other-scores are held beside --scores: give both, or --scores alone")
    started = out.started
    if started is not None:
        raise ConfigError(
            f"{out.uri} holds the {started.get('job')} job's tables: give another --out"
        )


def _exhibits(
    config: ReportConfig,
    inputs: ReportInputs,
    sources: Sources,
    samples: Samples,
    observed: Observed,
    evaluation: Evaluation,
    baseline: Run | None,
) -> Exhibits:
    how = config.resampling
    card, agreement, warnings = None, tuple[Agreement, ...](), list[str]()
    if sources.scores is not None:
        nulls = {"text_majority": text_majority(observed.program, samples)}
        card = report_card(samples, nulls=nulls, **how)
        warnings = [
            *trained_on_warnings(samples, training_rows_behind(sources.scores)),
            *generator_warnings(
                samples,
                read_profile_behind(sources.scores),
                comment_share=read_comment_share(sources.completions),
            ),
        ]
    if inputs.other_scores:
        margins = read_margins(Directory(inputs.other_scores), samples)
        agreement = agreements(samples, margins, **how)
    comparison = None
    if baseline is not None:
        comparison = compare_runs(run_of(evaluation, config.title), baseline, **how)
    followed = gather(
        samples,
        sources,
        observed=observed,
        observations=_directory(inputs.observations),
        seed=config.seed,
    )
    return Exhibits(
        warnings=tuple(warnings),
        card=card,
        agreement=agreement,
        comparison=comparison,
        mistakes=followed.mistakes,
        underrated=followed.underrated,
        problems=followed.problems,
    )


def _directory(place: str | None) -> Directory | None:
    return Directory(place) if place else None
