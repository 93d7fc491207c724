"""The card tells what is known, in a form that the Hub reads; an upload never loses a run."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from codeprm.errors import DataError
from codeprm.records import Completion, Example, Outcome, Problem, Verdict
from codeprm.reward_model import Calibration
from codeprm.tables import open_directory
from codeprm.training.config import GeneratorConfig, OrmConfig
from codeprm.training.hub import MODEL_FILES, push_to_hub
from codeprm.training.model_card import card_facts, model_card
from tests.rows import completion_row, problem_row, verdict_row, write_directory

TRAINING = {
    "examples": 1234,
    "problems": 56,
    "steps": 78,
    "held_out_examples": 90,
    "held_out_problems": 9,
    "auc_within": 0.71234,
    "calibrated_ece": None,
}


@pytest.fixture(autouse=True)
def no_git(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit is asked of git, which one waits for."""
    monkeypatch.setenv("CODEPRM_GIT_COMMIT", "0" * 40)


@pytest.fixture
def orm(tmp_path: Path) -> Path:
    problem = problem_row("a")
    data = write_directory(tmp_path / "verified", [problem], (Problem,))
    completions = [completion_row(problem, i) for i in range(4)]
    samples = write_directory(tmp_path / "samples", completions, (Completion,))
    verdicts = write_directory(
        tmp_path / "verdicts",
        [
            verdict_row(row, Outcome.PASSED if i == 0 else Outcome.WRONG_ANSWER)
            for i, row in enumerate(completions)
        ],
        (Verdict,),
    )
    examples = write_directory(
        tmp_path / "examples", [], (Example,),
        inputs={"completions": samples, "verdicts": verdicts, "data": data},
    )  # fmt: skip
    write_directory(tmp_path / "orm", [], (), inputs={"examples": examples})
    Calibration(temperature=1.75).save(tmp_path / "orm")
    return tmp_path / "orm"


def card_of(orm: Path, **changes: Any) -> str:
    config = OrmConfig(model="bigcode/starcoder2-3b", max_length=777)
    facts = card_facts("train_orm", config, open_directory(str(orm)), TRAINING, orm)
    return model_card(dataclasses.replace(facts, **changes))


def front_of(card: str) -> dict[str, Any]:
    _, front, _ = card.split("---\n", 2)
    value: dict[str, Any] = yaml.safe_load(front)
    return value


def test_the_front_matter_is_what_the_hub_reads(orm: Path) -> None:
    front = front_of(card_of(orm))
    assert front == {
        "library_name": "transformers",
        "pipeline_tag": "text-classification",
        "tags": ["codeprm", "code", "reward-model"],
        "base_model": "bigcode/starcoder2-3b",
    }


def test_the_card_tells_data_metrics_calibration_and_tokenizer(orm: Path) -> None:
    card = card_of(orm)
    for text in (
        "- examples learnt from: 1,234",
        "- of problems: 56",
        "- share of their programs that passes: 0.250",
        "- trust in the tests of its problems: both 1",
        "| AUC within a problem | 0.7123 |",
        "- temperature: 1.75",
        "no end-of-text token",
        "more than 777 tokens",
        'AutoModelForSequenceClassification.from_pretrained("orm"',
        'LLM("orm", runner="pooling", convert="classify"',
    ):
        assert text in card
    assert "calibration error" not in card
    config = json.loads(card.split("```json\n")[1].split("```")[0])
    assert config["max_length"] == 777


def test_the_card_says_what_was_dropped_where_something_was_trained(orm: Path) -> None:
    assert "Dropout" not in card_of(orm)
    (orm / "config.json").write_text('{"attention_dropout": 0.0}')
    assert "- Dropout of attention in training: 0\n" in card_of(orm)
    frozen = OrmConfig(model="m", trunk="frozen")
    facts = card_facts("train_orm", frozen, open_directory(str(orm)), TRAINING, orm)
    assert "Dropout" not in model_card(facts)


def test_no_path_of_the_machine_is_told(orm: Path) -> None:
    config = OrmConfig(model=str(orm.parent / "generator"))
    facts = card_facts("train_orm", config, open_directory(str(orm)), TRAINING, orm)
    card = model_card(facts)
    assert str(orm.parent) not in card
    assert "- Started from: generator\n" in card
    assert "base_model" not in front_of(card)


def test_without_held_out_problems_inputs_and_calibration_the_card_is_short(tmp_path: Path) -> None:
    out = write_directory(tmp_path / "gone", [], (), inputs={"examples": str(tmp_path / "none")})
    training = {"examples": 5, "steps": 2, "held_out_examples": 0, "held_out_problems": 0}
    facts = card_facts("train_orm", OrmConfig(model="m"), open_directory(out), training, tmp_path)
    card = model_card(facts)
    assert "Nothing was held out." in card
    assert "There is none: the probability is sigmoid(margin)." in card


def test_a_generators_card(tmp_path: Path) -> None:
    out = write_directory(tmp_path / "generator", [], ())
    config = GeneratorConfig(model="scratch", max_length=512)
    training = {"examples": 5, "steps": 2, "held_out_loss": 1.25}
    facts = card_facts("train_generator", config, open_directory(out), training, tmp_path)
    card = model_card(facts)
    assert front_of(card)["pipeline_tag"] == "text-generation"
    assert "- Started from: new weights" in card
    assert "| loss | 1.25 |" in card
    assert "one `<|endoftext|>`" in card
    assert "Calibration" not in card


@pytest.mark.parametrize("job", ["train_orm", "train_generator"])
def test_the_cards_python_is_python(job: str, orm: Path) -> None:
    code = card_of(orm, job=job).split("```python\n")[1:]
    assert len(code) == 2
    for part in code:
        compile(part.split("```")[0], "card", "exec")


def test_the_whole_directory_goes_to_the_hub_private_unless_asked(orm: Path) -> None:
    calls: list[Any] = []

    def upload(folder: str, name: str, is_private: bool) -> str:
        calls.append((folder, name, is_private))
        return "https://hub/team/orm"

    assert push_to_hub(str(orm), "team/orm", is_private=True, upload=upload)
    assert calls == [(str(orm), "team/orm", True)]


def test_a_failed_upload_is_a_warning(orm: Path, caplog: pytest.LogCaptureFixture) -> None:
    def upload(folder: str, name: str, is_private: bool) -> str:
        raise OSError("401\nunauthorized")

    assert not push_to_hub(str(orm), "team/orm", is_private=True, upload=upload)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "did not get to the Hub as team/orm (401 unauthorized)" in record.getMessage()
    assert (orm / "manifest.json").exists()


def test_an_unfinished_run_is_not_uploaded(tmp_path: Path) -> None:
    out = write_directory(tmp_path / "half", [], (), complete=False)
    with pytest.raises(DataError, match="did not finish"):
        push_to_hub(out, "team/orm", is_private=True, upload=lambda *_: "")


def test_only_the_models_files_are_uploaded(monkeypatch: pytest.MonkeyPatch, orm: Path) -> None:
    from huggingface_hub import HfApi
    from huggingface_hub.utils import filter_repo_objects  # type: ignore[attr-defined]

    given: dict[str, Any] = {}
    monkeypatch.setattr(
        HfApi, "create_repo", lambda self, name, **options: _Repo(name, given, options)
    )
    monkeypatch.setattr(HfApi, "upload_folder", lambda self, **options: given.update(options))
    assert push_to_hub(str(orm), "team/orm", is_private=True)
    assert given["private"] is True
    assert given["repo_id"] == "team/orm"
    model = [
        "README.md", "model.safetensors", "model-00001-of-00002.safetensors",
        "model.safetensors.index.json", "config.json", "generation_config.json", "tokenizer.json",
        "tokenizer_config.json", "calibration.json", "profile.json", "training.json",
        "adapter/adapter_config.json", "adapter/adapter_model.safetensors",
    ]  # fmt: skip
    rest = [
        "started.json", "manifest.json", "commits/part-00000.json", "rejected/part-00000.parquet",
        "work/tokenizer.json", "work/model.safetensors", "tensorboard/events.out.tfevents.1",
        "spool/part-00000.jsonl", "notes.txt",
    ]  # fmt: skip
    assert given["allow_patterns"] == list(MODEL_FILES)
    kept = filter_repo_objects([*model, *rest], allow_patterns=given["allow_patterns"])
    assert list(kept) == model


class _Repo(str):
    __slots__ = ("repo_id",)
    repo_id: str

    def __new__(cls, name: str, given: dict[str, Any], options: dict[str, Any]) -> _Repo:
        given.update(options)
        repo = super().__new__(cls, f"https://hub/{name}")
        repo.repo_id = name
        return repo
