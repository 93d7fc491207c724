"""The outcome reward model's numbers: margin, calibration, probability.

The classifier has two labels, 0 fail and 1 pass; its *margin* is logit(pass) - logit(fail) in
float32, and everything ranks by it. A *calibration* (temperature T and bias b, fitted on problems
that were held out of training) turns it into a probability, sigmoid(margin / T + b); it is stored
beside the weights in `calibration.json` and used by `score` and by the service alike. Without the
file the identity (T = 1, b = 0) stands. Source: Guo et al. 2017 (temperature), Platt 1999 (bias).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from codeprm.errors import DataError
from codeprm.records import content_hash

Floats = npt.NDArray[np.float64]

CALIBRATION_FILE = "calibration.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """`probability = sigmoid(margin / temperature + bias)`, fitted on `n` held-out programs."""

    temperature: float = 1.0
    bias: float = 0.0
    n: int = 0

    @property
    def name(self) -> str:
        """Names the calibration in scores: "identity" or a hash of its values."""
        if (self.temperature, self.bias) == (1.0, 0.0):
            return "identity"
        return content_hash(repr(self.temperature), repr(self.bias), length=12)

    def probability(self, margins: Floats) -> Floats:
        """Probabilities that the programs are right, elementwise."""
        with np.errstate(over="ignore"):
            logits = np.asarray(margins, dtype=np.float64) / self.temperature + self.bias
            return np.asarray(1.0 / (1.0 + np.exp(-logits)), dtype=np.float64)

    def save(self, model_dir: str | Path) -> None:
        """Write `calibration.json` into a checkpoint directory."""
        text = json.dumps(asdict(self) | {"name": self.name}, indent=2)
        (Path(model_dir) / CALIBRATION_FILE).write_text(text + "\n", encoding="utf-8")


def load_calibration(model_dir: str | Path) -> Calibration:
    """The calibration stored with a model, or the identity."""
    path = Path(model_dir) / CALIBRATION_FILE
    if not path.is_file():
        return Calibration()
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return Calibration(
            temperature=float(values["temperature"]), bias=float(values["bias"]), n=int(values["n"])
        )
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is not a calibration: train the reward model again") from error


def fit_calibration(margins: Floats, passed: npt.NDArray[np.bool_]) -> Calibration:
    """Maximum-likelihood T > 0 and b; the identity where one class is missing.

    A margin that ranks no better than chance gives slope <= 0: then T is kept at a large value, so
    that probabilities fall to the base rate and never turn the ranking round.
    """
    from sklearn.linear_model import LogisticRegression

    margins = np.asarray(margins, dtype=np.float64)
    if len(margins) == 0 or passed.all() or not passed.any():
        return Calibration(n=len(margins))
    model = LogisticRegression(C=1e6, max_iter=1000).fit(margins[:, None], passed.astype(int))
    slope = max(float(model.coef_[0, 0]), 1e-3)
    return Calibration(temperature=1.0 / slope, bias=float(model.intercept_[0]), n=len(margins))
