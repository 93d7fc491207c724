r"""Text -> token ids, the one rule for training, sampling, scoring and serving.

Prompt and program are tokenised apart, without special tokens, and their ids joined. A generator
is trained with one end-of-text id after the program; the reward model never sees one: its margin is
read at the program's last token (`ended` is that rule). The text `<|endoftext|>` inside a statement
or a program is ordinary text here, never the special token.

The tokenizer is read from `tokenizer.json` itself: transformers 5 rebuilds StarCoder2's from its
class and loses the splitting of digits, which changes "\n\n5" and nearly every contest statement.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from codeprm.errors import DataError

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class Encoded(NamedTuple):
    """Token ids of a prompt and of the program behind it."""

    prompt_ids: list[int]
    program_ids: list[int]

    @property
    def ids(self) -> list[int]:
        """What the model reads."""
        return self.prompt_ids + self.program_ids


def load_tokenizer(model: str, revision: str | None = None) -> Tokenizer:
    """The tokenizer of a checkpoint directory or of a Hub repository."""
    from tokenizers import Tokenizer

    local = Path(model) / "tokenizer.json"
    if local.is_file():
        tokenizer = Tokenizer.from_file(str(local))
    elif Path(model).exists():
        raise DataError(f"no tokenizer.json in {model}: give a checkpoint in Hugging Face layout")
    else:
        tokenizer = _hub_tokenizer(model, revision)
    return _plain(tokenizer)


def tokenizer_of(text: str) -> Tokenizer:
    """The tokenizer that a `tokenizer.json` describes."""
    from tokenizers import Tokenizer

    return _plain(Tokenizer.from_str(text))


def encode_text(tokenizer: Tokenizer, text: str) -> list[int]:
    """Ids of a text, nothing added; special tokens' texts are read as ordinary text."""
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    return ids


def encode_texts(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """`encode_text` of many texts, in threads."""
    batch = tokenizer.encode_batch(list(texts), add_special_tokens=False)
    return [encoding.ids for encoding in batch]


def ended(encoded: Encoded, end_id: int | None) -> Encoded:
    """The end-of-text rule: a generator's example ends with `end_id`, all else with the program.

    `end_id` is given where a generator is trained, None where a reward model is trained, scores or
    serves: its margin is read at the last token there is, whatever a tokenizer would append.
    """
    if end_id is None:
        return encoded
    return Encoded(encoded.prompt_ids, [*encoded.program_ids, end_id])


def fit_length(encoded: Encoded, max_length: int) -> Encoded | None:
    """Cut the prompt's middle until both fit; None if the program alone leaves it no room.

    The program's end decides its verdict, so it is never cut; the prompt keeps its first and its
    last part in equal shares, at least 16 tokens or all of it.
    """
    prompt, program = encoded
    room = max_length - len(program)
    if len(prompt) <= room:
        return encoded
    if room < 16:
        return None
    head = (room + 1) // 2
    return Encoded(prompt[:head] + prompt[len(prompt) - (room - head) :], program)


def _plain(tokenizer: Tokenizer) -> Tokenizer:
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    return tokenizer


def _hub_tokenizer(model: str, revision: str | None) -> Tokenizer:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
    from tokenizers import Tokenizer

    try:
        path = hf_hub_download(model, "tokenizer.json", revision=revision)
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise DataError(
            f"no model at {model}: neither a checkpoint directory nor a Hub repository that can "
            f"be reached ({type(error).__name__})"
        ) from error
    return Tokenizer.from_file(path)
