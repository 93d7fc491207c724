"""Tokenizer files: one trained for a model made from scratch, and those of any checkpoint.

A checkpoint carries the raw `tokenizer.json` and a `tokenizer_config.json` that names the class
which reads it as it is. transformers 5 would rebuild StarCoder2's own class and split digits
otherwise; what is written here is loaded back and must give the raw tokenizer's ids.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from codeprm.encoding import encode_text, load_tokenizer
from codeprm.errors import DataError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

END_OF_TEXT = "<|endoftext|>"
PROBE = 'Input\n\n5\n10 -3\nx =  42\n\tif a[12] >= 7:\n        print("\u00e9", 1_000)\n'


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Byte-level BPE with single digits; id 0 is end-of-text, which also pads."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.encode_special_tokens = True
    return tokenizer


def save_tokenizer(tokenizer_json: str, model_dir: str | Path) -> None:
    """Write both files and check that transformers reads them as they are meant."""
    from transformers import AutoTokenizer

    folder = Path(model_dir)
    (folder / "tokenizer.json").write_text(tokenizer_json, encoding="utf-8")
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": END_OF_TEXT,
        "eos_token": END_OF_TEXT,
        "pad_token": END_OF_TEXT,
        "clean_up_tokenization_spaces": False,
    }
    text = json.dumps(settings, indent=2)
    (folder / "tokenizer_config.json").write_text(text + "\n", encoding="utf-8")
    raw = encode_text(load_tokenizer(str(folder)), PROBE)
    loaded = AutoTokenizer.from_pretrained(str(folder))
    if loaded(PROBE, add_special_tokens=False)["input_ids"] != raw:
        raise DataError(f"transformers reads the tokenizer in {folder} differently than it is")


def end_of_text_id(tokenizer: Tokenizer) -> int:
    """The id that ends a program."""
    found = tokenizer.token_to_id(END_OF_TEXT)
    if found is None:
        raise DataError(f"the tokenizer has no {END_OF_TEXT}: start from a StarCoder2 checkpoint")
    return int(found)
