"""A trained model into its run's directory, in Hugging Face layout.

    model, its weights, what was told -> a folder of files -> directory

Files are made beside and copied as they are; they count once the run's manifest is there.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codeprm.tables import Directory
from codeprm.training.config import GeneratorConfig, OrmConfig
from codeprm.training.held_out import HeldOut
from codeprm.training.model_card import CARD_FILE, card_facts, model_card
from codeprm.training.models import save_model
from codeprm.training.prepare import read_tokenizer_json
from codeprm.training.room import needs_room
from codeprm.training.tokenizer import save_tokenizer

if TYPE_CHECKING:
    import torch

TRAINING_FILE = "training.json"


def export(
    job: str,
    config: GeneratorConfig | OrmConfig,
    directory: Directory,
    *,
    model: Any,
    weights: dict[str, torch.Tensor],
    training: dict[str, Any],
    held_out: HeldOut | None,
) -> None:
    """Write all files of the finished model; one process does."""
    with (
        needs_room("the trained model", directory.uri),
        tempfile.TemporaryDirectory(prefix="codeprm-export-") as folder,
    ):
        save_model(model, weights, Path(folder))
        save_tokenizer(read_tokenizer_json(directory), folder)
        (Path(folder) / TRAINING_FILE).write_text(json.dumps(training, indent=1) + "\n")
        if held_out is not None:
            held_out.save(folder, directory)
        facts = card_facts(job, config, directory, training, Path(folder))
        (Path(folder) / CARD_FILE).write_text(model_card(facts), encoding="utf-8")
        Directory(folder).copy_to(directory)
