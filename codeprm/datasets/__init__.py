"""Raw problems, one file a dataset. To add one: a `plan`, a `read`, a line in `DATASETS`.

All give rows in TACO's raw schema, so that what follows (`codeprm.cleaning`) is the same code.
"""

from __future__ import annotations

from codeprm.datasets import minitaco, taco
from codeprm.datasets.base import Dataset
from codeprm.errors import ConfigError

DATASETS: dict[str, Dataset] = {
    "minitaco": Dataset(plan=minitaco.plan, read=minitaco.read),
    "taco": Dataset(plan=taco.plan, read=taco.read),
}


def dataset_named(name: str) -> Dataset:
    """The dataset of that name; an unknown name lists the known ones."""
    if name not in DATASETS:
        raise ConfigError(f"no dataset {name!r}: choose one of {', '.join(DATASETS)}")
    return DATASETS[name]
