"""A reward model + scored, judged samples -> a new `calibration.json`; no weight is touched.

The samples are any that the model scored: margins do not depend on the calibration, so scores from
before are as good as new ones. Problems that the model was trained on are left out, for what it
says of them is no guide to others; where the training examples are gone nobody can tell, so give
problems that were held out. Without `out` the file is written beside the model's weights (the old
one is kept as `calibration.json.old`), else a copy of the model gets it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from codeprm.errors import ConfigError, DataError
from codeprm.evaluation.calibration.fit import CalibrationFit, Judged, fit_calibration
from codeprm.evaluation.calibration.orm_lineage import TrainingRows, input_of, training_rows
from codeprm.evaluation.card.ratios import problem_of
from codeprm.evaluation.card.reliability import Quality
from codeprm.evaluation.samples import Samples, Sources, read_samples
from codeprm.evaluation.subsets import of_problems, subset
from codeprm.places import Place
from codeprm.reward_model import CALIBRATION_FILE, Calibration, parse_calibration
from codeprm.tables import Directory

MIN_PROBLEMS = 10


@dataclass(frozen=True, kw_only=True)
class CalibrateConfig:
    """How to fit."""

    method: Literal["temperature", "isotonic", "prior"] = "temperature"
    """Line to fit: two numbers, a free non-decreasing line, or only the base rate."""
    seed: int = 0
    """How problems are dealt into the folds that tell what the calibration is worth."""


@dataclass(frozen=True, kw_only=True)
class CalibrateInputs:
    """Scored samples with verdicts."""

    scores: Place
    """Directory that the score job wrote with this model."""
    verdicts: Place
    """Directory of verdicts on the same completions."""
    completions: Place
    """Directory of the completions."""
    data: Place | None = None
    """Dataset directory of the problems: those that tests cannot judge are then left out."""


def recalibrate(
    config: CalibrateConfig, inputs: CalibrateInputs, *, model: str, out: str | None = None
) -> str:
    """Fit and write; returns what it did as text."""
    source = Directory(model)
    current = stored_calibration(source)
    _require_same_model(Directory(inputs.scores), source)
    samples = read_samples(
        Sources.at(
            completions=inputs.completions,
            verdicts=inputs.verdicts,
            scores=inputs.scores,
            problems=inputs.data,
        )
    )
    trained = training_rows(source)
    judged, n_known = judged_samples(samples, trained)
    _require_enough(judged, n_known, inputs.verdicts)
    rate = current.trained_rate
    fit = fit_calibration(
        judged,
        method=config.method,
        current=current,
        trained_rate=trained.passing if rate is None and trained else rate,
        seed=config.seed,
    )
    facts = {
        "fitted_by": config.method,
        # names, no paths: this file goes wherever the model goes
        "fitted_on": {
            name: Path(uri).name for name, uri in dataclasses.asdict(inputs).items() if uri
        },
        "left_out_as_trained_on": n_known,
        **fit.facts(),
    }
    target = source if out is None else _copy(source, out)
    _write(target, fit.calibration, facts)
    return _summary(fit, target, n_known)


def stored_calibration(model: Directory) -> Calibration:
    """The calibration in a model's directory, or the identity; refuses what is no model."""
    try:
        names = model.list_names()
    except OSError as error:
        raise DataError(
            f"{model.uri} cannot be read ({error}): give a model's directory"
        ) from error
    if "config.json" not in names:
        raise DataError(
            f"no config.json in {model.uri}: give the directory of a reward model (one from the "
            "Hub must be downloaded first, its calibration is written beside the weights)"
        )
    if CALIBRATION_FILE not in names:
        return Calibration()
    with model.fs.open_input_stream(model.path(CALIBRATION_FILE)) as stream:
        data: bytes = stream.read()
    where = f"{model.uri}/{CALIBRATION_FILE}"
    return parse_calibration(data.decode("utf-8", "replace"), where=where)


def judged_samples(samples: Samples, trained: TrainingRows | None) -> tuple[Judged, int]:
    """Scored samples of problems that the model has not learnt from, and how many it has."""
    known = trained.problem_ids if trained else frozenset()
    held_out = np.array([problem not in known for problem in samples.problem_ids], dtype=np.bool_)
    part = subset(samples, of_problems(samples, held_out) & ~np.isnan(samples.margin))
    judged = Judged(
        margin=part.margin,
        passed=part.passed,
        weight=np.ones(len(part.margin)),
        problem=problem_of(part.offsets),
    )
    return judged, int((~held_out).sum())


def _require_same_model(scores: Directory, model: Directory) -> None:
    used = input_of(scores, "model")
    if used is None or model.started is None:
        return  # nobody recorded it
    if used.identity != model.identity:
        raise DataError(
            f"the scores in {scores.uri} were made by {used.uri}, not by {model.uri}: score the "
            "completions with this model first"
        )


def _require_enough(judged: Judged, n_known: int, verdicts: str) -> None:
    left = f" ({n_known} were left out, the model was trained on them)" if n_known else ""
    if judged.n_problems < MIN_PROBLEMS:
        raise DataError(
            f"{judged.n_problems} problems with scored samples of known label are too few to fit a "
            f"calibration{left}: give {MIN_PROBLEMS} or more that were held out of training"
        )
    if not judged.has_both_classes:
        word = "passes" if judged.passed.all() else "fails"
        raise DataError(
            f"every scored sample {word} in {verdicts}{left}: a calibration needs both "
            "passing and failing ones"
        )


def _copy(source: Directory, out: str) -> Directory:
    import pyarrow.fs as pafs

    target = Directory(out)
    selector = pafs.FileSelector(target.path(), allow_not_found=True)
    try:
        found = target.fs.get_file_info(selector)
    except OSError as error:
        raise ConfigError(f"{out} is no directory ({error}): give another --out") from error
    if found:
        raise ConfigError(f"{out} is not empty: give another --out, or none to write in place")
    source.copy_to(target)
    return target


def _write(target: Directory, calibration: Calibration, facts: Mapping[str, Any]) -> None:
    try:
        if CALIBRATION_FILE in target.list_names():
            with target.fs.open_input_stream(target.path(CALIBRATION_FILE)) as stream:
                target.write_bytes(stream.read(), f"{CALIBRATION_FILE}.old")
        target.write_bytes(calibration.to_json(facts).encode(), CALIBRATION_FILE)
    except OSError as error:
        raise ConfigError(
            f"cannot write into {target.uri} ({error}): give another --out"
        ) from error


def _summary(fit: CalibrationFit, target: Directory, n_known: int) -> str:
    new = fit.calibration
    rows = [("sigmoid of the margin", fit.raw), ("calibration until now", fit.before)]
    if fit.after is not None:
        rows.append(("new calibration, cross-fitted", fit.after))
    left = f"; {n_known:,} problems left out, the model was trained on them" if n_known else ""
    share = f"{100 * (new.base_rate or 0):.1f} % pass"
    lines = [
        f"{new.n:,} programs of {new.n_problems:,} problems, {share}{left}",
        f"{'':30}  {'NLL':>7}  {'Brier':>7}  {'ECE':>7}",
        *(f"{name:30}  {_shown(values)}" for name, values in rows),
        f"{target.uri}/{CALIBRATION_FILE}: {new.method} {new.name}",
    ]
    return "\n".join(lines)


def _shown(values: Quality) -> str:
    return "  ".join("      -" if math.isnan(v) else f"{v:7.4f}" for v in values)
