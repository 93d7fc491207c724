"""What a trained reward model is worth on the problems that were held out of its training.

    held-out rows of the corpus + their margins -> calibration.json, profile.json, metrics

Examples are drawn with as many passing as failing programs, and problems of one class give none. So
the two classes are weighted back to the share that passes of all completions that the examples were
chosen from, as far as their verdicts are still there: the calibration then holds at the generator's
own rate, and what the draw did to the odds is its prior shift. Weights of training do not count
here: they say what matters, not how often it is met.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from codeprm.evaluation.best_of_n import Floats, ordered_pairs
from codeprm.evaluation.calibration.fit import CalibrationFit, Judged, fit_calibration
from codeprm.evaluation.calibration.orm_lineage import generators_of, input_of, natural_rate
from codeprm.evaluation.calibration.profile import PROFILE_FILE, Profile, profile_of
from codeprm.records import Example
from codeprm.tables import Directory
from codeprm.training.batches import Indices
from codeprm.training.corpus import Index


class HeldOut(NamedTuple):
    """What the model is worth on the calibration split."""

    fit: CalibrationFit
    judged: Judged
    metrics: dict[str, float | int | None]

    def save(self, folder: str, run: Directory) -> None:
        """The calibration, and the profile of the programs that the run learnt from."""
        examples = input_of(run, "examples")
        facts = {
            "fitted_by": "temperature",
            # a name, no path: this file goes wherever the model goes
            "fitted_on": {
                "examples": Path(examples.uri).name if examples else None,
                "split": "calibration",
            },
            **self.fit.facts(),
        }
        self.fit.calibration.save(folder, facts)
        if examples is not None:
            text = profile_of_examples(examples, self.judged).to_json()
            (Path(folder) / PROFILE_FILE).write_text(text, encoding="utf-8")


def natural_rate_of(run: Directory) -> float | None:
    """Share of passing programs among the completions behind a run's examples, if it is known."""
    examples = input_of(run, "examples")
    return None if examples is None else natural_rate(examples)


def judge_held_out(
    index: Index, margins: npt.NDArray[np.float64], base_rate: float | None = None
) -> HeldOut:
    """Calibration at a base rate, and how well margins of the held-out rows rank and separate."""
    rows, margins, offsets = by_problem(index, margins)
    passed = index.labels[rows] == 1
    judged = Judged(
        margin=margins,
        passed=passed,
        weight=class_weights(passed, base_rate),
        problem=index.problems[rows],
    )
    learnt = index.labels[~index.held_out]
    fit = fit_calibration(judged, trained_rate=float(learnt.mean()) if len(learnt) else None)
    metrics: dict[str, float | int | None] = {
        "held_out_examples": len(rows),
        "held_out_problems": judged.n_problems,
        "auc_within": auc_within(margins, passed, offsets),
        "accuracy": float(((margins > 0) == passed).mean()) if len(rows) else None,
        "calibrated_nll": fit.after.nll if fit.after else None,
        "calibrated_brier": fit.after.brier if fit.after else None,
        "calibrated_ece": fit.after.ece if fit.after else None,
    }
    return HeldOut(fit, judged, metrics)


class ByProblem(NamedTuple):
    """Rows of the corpus and their margins; those of problem p are `offsets[p]:offsets[p + 1]`."""

    rows: Indices
    margins: Floats
    offsets: Indices


def by_problem(index: Index, margins: Floats) -> ByProblem:
    """The held-out rows, whose margins come in the order of the index."""
    rows = np.flatnonzero(index.held_out)
    order = np.argsort(index.problems[rows], kind="stable")
    _, sizes = np.unique(index.problems[rows], return_counts=True)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return ByProblem(rows[order], margins[order], offsets)


def auc_within(margins: Floats, passed: npt.NDArray[np.bool_], offsets: Indices) -> float | None:
    """Mean area under the ROC curve of the problems of both classes; None where there are none."""
    auc = ordered_pairs(margins, passed, offsets).auc
    mixed = auc[~np.isnan(auc)]
    return float(mixed.mean()) if len(mixed) else None


def class_weights(passed: npt.NDArray[np.bool_], base_rate: float | None) -> Floats:
    """Weights that make `base_rate` the share that passes; 1 where that cannot be."""
    share = float(passed.mean()) if len(passed) else 0.0
    if base_rate is None or not 0 < base_rate < 1 or not 0 < share < 1:
        return np.ones(len(passed))
    return np.where(passed, base_rate / share, (1 - base_rate) / (1 - share))


def profile_of_examples(examples: Directory, judged: Judged) -> Profile:
    """Held-out programs of a label job's directory, or all where none is; their margins."""
    table = examples.read_table(Example, columns=("program", "model", "split"))
    rows = table.to_pylist()
    held_out = [row for row in rows if row["split"] == "calibration"] or rows
    models = sorted({row["model"] for row in held_out if row["model"]})
    return profile_of(
        [row["program"] for row in held_out],
        generators=models or generators_of(examples),
        margins=judged.margin,
        passed=judged.passed,
        weights=judged.weight,
        n_problems=judged.n_problems,
    )
