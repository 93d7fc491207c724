"""`README.md` of a finished model: what it is, what of, what it is worth, how it is used.

    output directory + what training told -> CardFacts -> Markdown with YAML front matter

Facts come from the manifests of the directories that went in, as far as they are still there; one
that is not known is left out. No path of the machine is told, only the names of directories: the
card goes wherever the model goes. `model-index` is not written, since a held-out split of one's own
is no public benchmark.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codeprm.errors import UserError
from codeprm.evaluation.calibration.orm_lineage import generators_of, input_of, natural_rate
from codeprm.records import Problem
from codeprm.reward_model import CALIBRATION_FILE
from codeprm.tables import Directory
from codeprm.tables.protocol import plain_config
from codeprm.training.config import FROM_SCRATCH, GeneratorConfig, OrmConfig
from codeprm.versions import versions

CARD_FILE = "README.md"
TEMPLATE = "model_card.md.j2"
INPUTS = {"train_generator": "data", "train_orm": "examples"}
# What of `calibration.json` a reader wants to know.
CALIBRATION_FACTS = (
    "temperature", "bias", "prior_shift", "base_rate", "trained_rate", "n", "n_problems",
)  # fmt: skip
METRICS = {
    "held_out_problems": "problems",
    "held_out_examples": "programs",
    "held_out_loss": "loss",
    "pass@1": "pass@1, one completion a problem",
    "pass@1_se": "standard error of pass@1",
    "pass@1_problems": "problems of pass@1",
    "auc_within": "AUC within a problem",
    "accuracy": "accuracy at margin 0",
    "calibrated_nll": "negative log-likelihood, calibrated",
    "calibrated_brier": "Brier score, calibrated",
    "calibrated_ece": "expected calibration error, calibrated",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """All that the card tells."""

    name: str
    job: str
    base: str
    """Where training started, a directory without its path; empty: new weights."""
    base_on_hub: bool
    max_length: int
    attention_dropout: float | None
    """What training dropped of attention; none where the trunk stayed or the model has its own."""
    data: Mapping[str, str]
    metrics: Mapping[str, float | int]
    calibration: Mapping[str, Any]
    config: Mapping[str, Any]
    versions: Mapping[str, str]

    @property
    def is_orm(self) -> bool:
        """Whether it is a reward model."""
        return self.job == "train_orm"


def card_facts(
    job: str,
    config: GeneratorConfig | OrmConfig,
    directory: Directory,
    training: Mapping[str, Any],
    folder: Path,
) -> CardFacts:
    """Of a run's output directory, what training told, and the folder with the model's files."""
    scratch = config.model == FROM_SCRATCH
    on_hub = not scratch and "://" not in config.model and not config.model.startswith(("/", "."))
    base = "" if scratch else config.model if on_hub else _last(config.model)
    calibration, exported = _json(folder / CALIBRATION_FILE), _json(folder / "config.json")
    is_frozen = isinstance(config, OrmConfig) and config.trunk == "frozen"
    metrics = {
        text: value for name, text in METRICS.items() if (value := training.get(name)) is not None
    }
    return CardFacts(
        name=_last(directory.uri),
        job=job,
        base=base,
        base_on_hub=on_hub,
        max_length=config.max_length,
        attention_dropout=None if is_frozen else exported.get("attention_dropout"),
        data=data_facts(job, directory, training),
        metrics=metrics if training.get("held_out_examples", 1) else {},
        calibration={name: calibration[name] for name in CALIBRATION_FACTS if name in calibration},
        config=plain_config(config) | {"model": base or config.model},
        versions=versions(),
    )


def data_facts(job: str, directory: Directory, training: Mapping[str, Any]) -> dict[str, str]:
    """What the model learnt from, as its input's manifest tells."""
    names = {"examples": "examples learnt from", "problems": "of problems", "steps": "steps"}
    facts = {text: f"{training[name]:,}" for name, text in names.items() if name in training}
    data = input_of(directory, INPUTS[job])
    if data is None:
        return facts
    facts["directory"] = _last(data.uri)
    try:
        manifest = data.manifest or {}
        facts |= {f"{table} in it": f"{n:,}" for table, n in manifest.get("rows", {}).items()}
        if job == "train_orm":
            facts |= _labels(data)
    except (UserError, OSError):
        # what an earlier job left may be gone by now; the model is none the worse
        pass
    return {name: value for name, value in facts.items() if value}


def _labels(examples: Directory) -> dict[str, str]:
    """Of a label job's directory: whose programs, how often they pass, what labels rest on."""
    rate = natural_rate(examples)
    facts = {
        "generators of the programs": ", ".join(map(_last, generators_of(examples))),
        "share of their programs that passes": "" if rate is None else f"{rate:.3f}",
    }
    problems = input_of(examples, "data")
    if problems is not None:
        column = problems.read_table(Problem, columns=("trust",)).column("trust")
        counts = sorted(Counter(column.to_pylist()).items())
        facts["trust in the tests of its problems"] = ", ".join(f"{t} {n:,}" for t, n in counts)
    return facts


def model_card(facts: CardFacts) -> str:
    """Markdown."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    # JSON is YAML
    environment.filters |= {"yaml": json.dumps, "shown": _shown}
    template = Path(__file__).with_name(TEMPLATE).read_text(encoding="utf-8")
    return environment.from_string(template).render(
        front=front_matter(facts),
        name=facts.name,
        is_orm=facts.is_orm,
        base=facts.base,
        job=facts.job,
        data=facts.data,
        metrics=facts.metrics,
        calibration=facts.calibration,
        max_length=facts.max_length,
        place=json.dumps(facts.name),
        attention_dropout=facts.attention_dropout,
        config=json.dumps(facts.config, indent=1),
        versions=", ".join(f"{name} {version}" for name, version in facts.versions.items()),
    )


def front_matter(facts: CardFacts) -> dict[str, Any]:
    """What the Hub reads; a local directory is no base model there."""
    tags = ["codeprm", "code", *(["reward-model"] if facts.is_orm else [])]
    front: dict[str, Any] = {
        "library_name": "transformers",
        "pipeline_tag": "text-classification" if facts.is_orm else "text-generation",
        "tags": tags,
    }
    return front | ({"base_model": facts.base} if facts.base_on_hub else {})


def _last(place: str) -> str:
    """A place on the Hub as it is, of a path its last part."""
    return place.rstrip("/").rsplit("/", 1)[-1] if "/" in place[:1] or "://" in place else place


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _json(path: Path) -> dict[str, Any]:
    try:
        value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return value
