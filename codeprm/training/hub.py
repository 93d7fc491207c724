"""A finished model goes to the Hugging Face Hub: its own files, nothing else of its directory.

What stays is the bookkeeping of tables, rejected rows, event files of trackers, and whatever a user
put there: they name places of this machine, or are of no use to a reader.

The directory is complete before, so nothing is lost by an upload that fails: it is one warning, and
the same command again finds the directory complete and uploads only.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable

from codeprm.evaluation.calibration.profile import PROFILE_FILE
from codeprm.reward_model import CALIBRATION_FILE
from codeprm.tables import open_directory
from codeprm.training.adapters import FOLDER as ADAPTERS
from codeprm.training.export import TRAINING_FILE
from codeprm.training.model_card import CARD_FILE

# a star goes across slashes
MODEL_FILES = (
    "model.safetensors", "model-*.safetensors", "model.safetensors.index.json",
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
    CALIBRATION_FILE, PROFILE_FILE, TRAINING_FILE, CARD_FILE, f"{ADAPTERS}/*",
)  # fmt: skip

logger = logging.getLogger(__name__)
# (folder, name, is_private) -> address
Upload = Callable[[str, str, bool], str]


def push_to_hub(out: str, name: str, *, is_private: bool, upload: Upload | None = None) -> bool:
    """Whether the model in `out` is now in the repository `name`; False after a warning."""
    import pyarrow.fs as pafs

    directory = open_directory(out)
    directory.require_complete()
    try:
        with tempfile.TemporaryDirectory(prefix="codeprm-hub-") as folder:
            place = directory.path()
            if not isinstance(directory.fs, pafs.LocalFileSystem):
                directory.copy_to(open_directory(folder))
                place = folder
            address = (upload or upload_folder)(place, name, is_private)
    except Exception as error:  # noqa: BLE001 - code of others, over a network
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        logger.warning(
            "the model is complete in %s but did not get to the Hub as %s (%s): run the same "
            "command again to upload it",
            out, name, reason,
        )  # fmt: skip
        return False
    logger.info("%s is on the Hub: %s", out, address)
    return True


def upload_folder(folder: str, name: str, is_private: bool) -> str:
    """By huggingface_hub, with the token that it finds; makes the repository."""
    from huggingface_hub import HfApi

    api = HfApi()
    repository = api.create_repo(name, private=is_private, exist_ok=True)
    api.upload_folder(
        repo_id=repository.repo_id, folder_path=folder, allow_patterns=list(MODEL_FILES)
    )
    return str(repository)
