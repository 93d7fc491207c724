"""Where a model's files are, and what the model is called in rows.

A model is a checkpoint directory, a URI of one, or a Hub repository. A directory or URI is called
`NAME@FINGERPRINT`: the same for the same weights, wherever they lie. The fingerprint hashes the
small files, and of each weight file its size and both ends, so that gigabytes are not read at every
start. A Hub repository is called by its id, with the revision where one is pinned.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from codeprm.errors import DataError
from codeprm.records import content_hash
from codeprm.tables import Directory, filesystem

_WHOLE = ("calibration.json", "config.json", "generation_config.json", "tokenizer.json")
_ENDS_BYTES = 1 << 20


def model_name(model: str, revision: str | None = None) -> str:
    """`generator@3f2a...` or `bigcode/starcoder2-3b@REVISION`."""
    import pyarrow.fs as pafs

    if "://" not in model and not Path(model).exists():
        return f"{model}@{revision}" if revision else model
    fs, path = filesystem(model)
    infos = fs.get_file_info(pafs.FileSelector(path, allow_not_found=True))
    if not any(info.base_name == "config.json" for info in infos):
        raise DataError(f"no config.json in {model}: give a checkpoint in Hugging Face layout")
    digest = hashlib.sha256()
    for info in sorted(infos, key=lambda info: info.base_name):
        is_weights = info.base_name.endswith(".safetensors")
        if not is_weights and info.base_name not in _WHOLE:
            continue
        digest.update(f"{info.base_name}\0{info.size}\0".encode())
        with fs.open_input_file(info.path) as file:
            ends = min(info.size, _ENDS_BYTES) if is_weights else info.size
            digest.update(file.read_at(ends, 0))
            digest.update(file.read_at(ends, info.size - ends))
    return f"{Path(path).name}@{digest.hexdigest()[:12]}"


def local_checkpoint(model: str) -> str:
    """A directory with the files of a URI, copied once a machine; anything else as it is."""
    if "://" not in model:
        return model
    name = content_hash(model, model_name(model))
    target = Path(tempfile.gettempdir()) / "codeprm-checkpoints" / name
    if target.exists():
        return str(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    # workers of a machine may start together: each copies beside, the first one in its place wins
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f"{name}.") as beside:
        copy = Path(beside) / "model"
        Directory(model).copy_to(Directory(str(copy)))
        try:
            copy.rename(target)
        except OSError:
            if not target.exists():
                raise
    return str(target)
