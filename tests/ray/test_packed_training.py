"""Packed and prefix-shared passes against one example at a time, on a tiny StarCoder2."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from codeprm.distributed.train import train_orm
from codeprm.errors import ConfigError
from codeprm.prompts import docstring_prompt
from codeprm.records import Example, Label
from codeprm.training.batches import Step
from codeprm.training.config import Optimization, OrmConfig, Scaling, Shape
from codeprm.training.corpus import Corpus
from codeprm.training.family_attention import (
    by_block_mask,
    by_merging,
    by_programs,
    family_mask,
)
from codeprm.training.losses import LOSSES, counts_of_step, step_loss
from codeprm.training.models import classifier_module, new_generator
from codeprm.training.orm import targets_of
from codeprm.training.packed_attention import Layout, attend
from codeprm.training.packed_models import (
    packed_classifier_module,
    packed_generator_module,
    packed_outputs,
    packed_token_losses,
)
from codeprm.training.packed_pass import FamilySpans, Span
from codeprm.training.packing import Packing, pack_step
from tests.models import tiny_generator
from tests.rows import problem_row, write_directory

torch = pytest.importorskip("torch")

SHAPE = Shape(vocab_size=40, hidden_size=32, layers=2, heads=4, kv_heads=2, intermediate_size=48)
MAX_LENGTH = 64
MODES = {"packed": False, "prefix-shared": True}
LM_WEIGHT = 0.3


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    # tensors this small wait for threads longer than they compute
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# -- programs -----------------------------------------------------------------------------------


def corpus_of(*rows: tuple[int, str, str, int]) -> Corpus:
    """Rows of (problem, prompt, program, label); each letter is a token."""
    texts = [prompt + program for _, prompt, program, _ in rows]
    lengths = np.array([len(text) for text in texts])
    rng = np.random.default_rng(0)
    return Corpus(
        ids=np.array([ord(letter) - ord("a") + 1 for text in texts for letter in text], np.uint16),
        lengths=np.asarray(lengths),
        prompt_lengths=np.array([len(prompt) for _, prompt, _, _ in rows]),
        problems=np.array([problem for problem, _, _, _ in rows]),
        labels=np.array([label for *_, label in rows]),
        weights=rng.uniform(0.5, 2.0, len(rows)),
        held_out=np.zeros(len(rows), dtype=bool),
    )


CORPORA = {
    "several problems": corpus_of(
        (0, "promptone", "firstprogram", 1), (1, "another", "xyz", 1),
        (0, "promptone", "second", 0),
        (0, "promptone", "firsttime", 0), (1, "another", "zyxwvu", 0), (2, "third", "abcde", 0),
        (2, "third", "bcd", 1), (1, "another", "q", 1),
    ),
    "one program": corpus_of((0, "prompt", "program", 1)),
    "equal programs": corpus_of(
        (0, "prompt", "same", 1), (0, "prompt", "same", 0), (0, "prompt", "same", 1)
    ),
    "one begins another": corpus_of(
        (0, "prompt", "begin", 1), (0, "prompt", "beginning", 0), (0, "prompt", "beginnings", 1)
    ),
    "nothing shared": corpus_of((0, "abc", "defgh", 1), (0, "xyz", "defgh", 0), (0, "x", "d", 1)),
    "single tokens": corpus_of((0, "a", "b", 1), (0, "a", "c", 0), (0, "a", "b", 0)),
}  # fmt: skip


# -- one example at a time ----------------------------------------------------------------------


def classifier(dtype: str, **changes: Any) -> Any:
    from transformers import Starcoder2ForSequenceClassification

    torch.manual_seed(0)
    config = new_generator(SHAPE, SHAPE.vocab_size, 0, "float32").config
    config.num_labels, config.tie_word_embeddings = 2, True
    for name, value in changes.items():
        setattr(config, name, value)
    model = Starcoder2ForSequenceClassification(config).to(getattr(torch, dtype))
    return spread(model)


def generator(dtype: str) -> Any:
    torch.manual_seed(0)
    return spread(new_generator(SHAPE, SHAPE.vocab_size, 0, dtype))


def spread(model: Any) -> Any:
    # fresh weights are so small that all attention is nearly uniform
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.1)
    return model


def plain_outputs(model: Any, corpus: Corpus, rows: Any, spoken: Any) -> tuple[Any, Any]:
    """transformers' own model, row by row, without any of our modules."""
    margins, tokens = [], torch.zeros((), dtype=model.score.weight.dtype)
    for row in map(int, rows):
        ids = torch.from_numpy(corpus.row(row))
        hidden = model.model(input_ids=ids[None], use_cache=False).last_hidden_state[0]
        fail, passed = torch.nn.functional.linear(precise(hidden[-1]), precise(model.score.weight))
        margins.append(passed - fail)
        if row in spoken:
            words = hidden @ model.model.embed_tokens.weight.T
            tokens = tokens + token_loss(words, ids, int(corpus.prompt_lengths[row]))
    return torch.stack(margins), tokens


def token_loss(words: Any, ids: Any, n_prompt: int) -> Any:
    log_probabilities = torch.log_softmax(precise(words), -1)
    return -sum(log_probabilities[at - 1, ids[at]] for at in range(n_prompt, len(ids)))


def precise(tensor: Any) -> Any:
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def engine_of(module: Any) -> Any:
    def engine(*given: Any) -> Any:
        return module(*given)

    engine.device = torch.device("cpu")  # type: ignore[attr-defined]
    return engine


def packed(model: Any, share: bool) -> Callable[..., tuple[Any, Any]]:
    module = packed_classifier_module(model, with_lm=True, longest=MAX_LENGTH)

    def outputs(corpus: Corpus, rows: Any, spoken: Any) -> tuple[Any, Any]:
        return packed_outputs(engine_of(module), corpus, rows, spoken, share=share)

    return outputs


# -- losses and gradients -----------------------------------------------------------------------


def loss_of(
    outputs: Callable[..., tuple[Any, Any]], corpus: Corpus, losses: dict[str, float]
) -> Any:
    """One step of one pass, with the language model's term."""
    rows = np.arange(len(corpus))
    spoken = rows[corpus.labels == 1]
    targets = targets_of(corpus, rows)
    margins, tokens = outputs(corpus, rows, spoken)
    counts = counts_of_step([targets], weights=losses)
    n_tokens = corpus.target_lengths[spoken].sum()
    return step_loss(margins, targets, weights=losses, step_counts=counts) + (
        LM_WEIGHT / n_tokens * tokens
    )


def gradients(loss: Any, model: Any) -> dict[str, Any]:
    loss.backward()
    return {name: weight.grad for name, weight in model.named_parameters()}


def largest_difference(found: dict[str, Any], expected: dict[str, Any]) -> float:
    """Of any tensor, relative to its norm."""
    assert found.keys() == expected.keys()
    assert all(grad is not None and grad.norm() > 0 for grad in expected.values())
    return max(float((found[name] - grad).norm() / grad.norm()) for name, grad in expected.items())


@pytest.mark.parametrize("share", MODES.values(), ids=MODES)
@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("corpus", CORPORA.values(), ids=CORPORA)
@pytest.mark.parametrize(("dtype", "bound"), [("float64", 1e-9), ("float32", 1e-4)])
def test_losses_and_gradients_are_those_of_one_example_at_a_time(
    dtype: str, bound: float, corpus: Corpus, name: str, share: bool
) -> None:
    plain = classifier(dtype)
    model = copy.deepcopy(plain)
    expected = loss_of(lambda *given: plain_outputs(plain, *given), corpus, {name: 1.0, "ce": 0.1})
    found = loss_of(packed(model, share), corpus, {name: 1.0, "ce": 0.1})
    assert found.item() == pytest.approx(expected.item(), rel=bound)
    assert largest_difference(gradients(found, model), gradients(expected, plain)) <= bound


@pytest.mark.parametrize("heads", [(4, 4), (4, 1)], ids=["own keys", "one key for all"])
def test_heads_may_share_keys_or_not(heads: tuple[int, int]) -> None:
    changes = {"num_attention_heads": heads[0], "num_key_value_heads": heads[1]}
    plain = classifier("float64", **changes)
    model = copy.deepcopy(plain)
    corpus = CORPORA["several problems"]
    expected = loss_of(lambda *given: plain_outputs(plain, *given), corpus, {"ce": 1.0})
    found = loss_of(packed(model, True), corpus, {"ce": 1.0})
    assert largest_difference(gradients(found, model), gradients(expected, plain)) <= 1e-9


def test_activations_may_be_recomputed() -> None:
    plain = classifier("float64")
    model = copy.deepcopy(plain)
    corpus = CORPORA["several problems"]
    outputs = packed(model, True)
    model.gradient_checkpointing_enable()
    model.train()
    expected = loss_of(lambda *given: plain_outputs(plain, *given), corpus, {"ce": 1.0})
    found = loss_of(outputs, corpus, {"ce": 1.0})
    assert largest_difference(gradients(found, model), gradients(expected, plain)) <= 1e-9


@pytest.mark.parametrize("share", MODES.values(), ids=MODES)
def test_bfloat16_differs_as_much_as_rounding_does(share: bool) -> None:
    plain, corpus = classifier("float64"), CORPORA["several problems"]
    exact = gradients(loss_of(lambda *g: plain_outputs(plain, *g), corpus, {"ce": 1.0}), plain)
    rounded, model = (copy.deepcopy(plain).to(torch.bfloat16) for _ in range(2))
    one_by_one = loss_of(lambda *given: plain_outputs(rounded, *given), corpus, {"ce": 1.0})
    found = loss_of(packed(model, share), corpus, {"ce": 1.0})
    assert found.item() == pytest.approx(one_by_one.item(), abs=2e-2)
    as_packed = distance(gradients(found, model), exact)
    as_plain = distance(gradients(one_by_one, rounded), exact)
    # bfloat16 has 8 bits: the packed pass is as near to the truth as the plain one
    assert as_packed <= 1.5 * as_plain
    assert as_plain < 0.1


def distance(found: dict[str, Any], exact: dict[str, Any]) -> float:
    """Of the whole gradient, relative to its norm."""
    apart = sum(float((found[name].double() - grad).square().sum()) for name, grad in exact.items())
    return float((apart / sum(float(grad.square().sum()) for grad in exact.values())) ** 0.5)


# -- steps --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(("share", "budget"), [(True, 50), (True, 200), (False, 70)])
@pytest.mark.parametrize("workers", [1, 2, 5])
def test_a_steps_loss_does_not_depend_on_how_it_is_packed(
    name: str, share: bool, budget: int, workers: int
) -> None:
    corpus, rows = CORPORA["several problems"], np.arange(8)
    outputs = packed(classifier("float64"), share)
    weights = {name: 1.0, "ce": 0.1}

    def loss(step: Step) -> float:
        passes = [targets_of(corpus, micro) for micro in step.micro_batches]
        counts = counts_of_step(passes, weights=weights)
        total = 0.0
        for micro, targets in zip(step.micro_batches, passes, strict=True):
            margins, tokens = outputs(corpus, micro, micro[targets.labels == 1])
            ours = step_loss(margins, targets, weights=weights, step_counts=counts)
            total += (ours + LM_WEIGHT * tokens).item()
        return total

    packing = Packing(budget=budget, workers=workers, share=share, whole=True)
    step = pack_step(Step([[rows[::2], rows[1::2]]]), corpus, packing)
    assert len({len(rank) for rank in step.ranks}) == 1
    assert loss(step) == pytest.approx(loss(Step([[rows]])), rel=1e-12)


def test_a_pass_without_examples_has_a_graph_and_no_gradient() -> None:
    model = classifier("float64")
    corpus, none = CORPORA["one program"], np.empty(0, dtype=np.int64)
    margins, tokens = packed(model, True)(corpus, none, none)
    assert margins.shape == (0,)
    (margins.sum() + tokens).backward()
    assert model.model.layers[0].mlp.c_fc.weight.grad.abs().max() == 0.0


@pytest.mark.parametrize("share", MODES.values(), ids=MODES)
@pytest.mark.parametrize(("dtype", "bound"), [("float64", 1e-9), ("float32", 1e-4)])
def test_a_generators_step_is_that_of_one_example_at_a_time(
    dtype: str, bound: float, share: bool
) -> None:
    plain, corpus = generator(dtype), CORPORA["several problems"]
    model = copy.deepcopy(plain)
    expected: Any = 0.0
    for row in range(len(corpus)):
        ids = torch.from_numpy(corpus.row(row))
        words = plain(input_ids=ids[None], use_cache=False).logits[0]
        expected = expected + token_loss(words, ids, int(corpus.prompt_lengths[row]))
    expected = expected / corpus.target_lengths.sum()
    engine = engine_of(packed_generator_module(model, longest=MAX_LENGTH))
    passes = [np.array([0, 4, 2, 1]), np.array([3, 5]), np.array([6, 7])]
    losses = [packed_token_losses(engine, corpus, rows, share=share) for rows in passes]
    found = sum(losses) / corpus.target_lengths.sum()
    assert found.item() == pytest.approx(expected.item(), rel=bound)
    assert largest_difference(gradients(found, model), gradients(expected, plain)) <= bound


def test_without_a_layout_the_model_is_the_plain_one() -> None:
    # held-out programs may still be read in padded rows
    plain = classifier("float32")
    model = copy.deepcopy(plain)
    packed_classifier_module(model, with_lm=False, longest=MAX_LENGTH)
    ids, ends = torch.randint(1, 30, (3, 20)), torch.tensor([19, 12, 4])
    with torch.no_grad():
        expected, _ = classifier_module(plain, with_lm=False)(ids, ends, ids)
        found, _ = classifier_module(model, with_lm=False)(ids, ends, ids)
    assert torch.allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_nothing_of_it_is_saved(tmp_path: Any) -> None:
    model = classifier("float32")
    packed_classifier_module(model, with_lm=False, longest=MAX_LENGTH)
    model.save_pretrained(tmp_path)
    assert "families" not in (tmp_path / "config.json").read_text()


def test_a_window_narrower_than_the_text_is_refused() -> None:
    model = classifier("float32", sliding_window=32)
    packed_classifier_module(model, with_lm=False, longest=32)
    with pytest.raises(ConfigError, match="window of 32"):
        packed_classifier_module(model, with_lm=False, longest=33)


# -- ways to compute attention ------------------------------------------------------------------

FAMILIES = (
    FamilySpans(Span(0, 5), (Span(5, 8), Span(8, 9), Span(9, 14))),
    FamilySpans(Span(14, 14), (Span(14, 20),)),
    FamilySpans(Span(20, 21), (Span(21, 23), Span(23, 24))),
)


def tensors(n_tokens: int = 24, kv_heads: int = 2, **settings: Any) -> list[Any]:
    torch.manual_seed(1)
    return [
        torch.randn(1, n_tokens, heads, 8, dtype=torch.float64, **settings).transpose(1, 2)
        for heads in (4, kv_heads, kv_heads)
    ]


def dense(families: Sequence[FamilySpans], n_tokens: int) -> Any:
    """Who may see whom, by the definition."""
    allowed = torch.zeros(n_tokens, n_tokens, dtype=torch.bool)
    for prefix, programs in families:
        for program in (prefix, *programs):
            seen = [*range(*prefix), *range(*program)]
            for token in range(*program):
                allowed[token, [other for other in seen if other <= token]] = True
    return allowed


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile:UserWarning")
@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_each_way_is_attention_under_the_families_mask(kv_heads: int) -> None:
    given = tensors(kv_heads=kv_heads)
    expected = torch.nn.functional.scaled_dot_product_attention(
        *given, attn_mask=dense(FAMILIES, 24), scale=0.3, enable_gqa=True
    )
    from torch.nn.attention.flex_attention import create_block_mask

    mask = create_block_mask(family_mask(FAMILIES, "cpu"), None, None, 24, 24, device="cpu")
    for found in (
        by_programs(*given, FAMILIES, scaling=0.3),
        by_merging(*given, FAMILIES, scaling=0.3),
        by_block_mask(*given, mask, scaling=0.3),
    ):
        assert torch.allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_merged_parts_go_back_as_the_whole() -> None:
    given = [tensor.requires_grad_() for tensor in tensors()]
    direction = tensors()[0].flip(-1)
    expected = torch.autograd.grad(by_programs(*given, FAMILIES, scaling=0.3), given, direction)
    found = torch.autograd.grad(by_merging(*given, FAMILIES, scaling=0.3), given, direction)
    for ours, theirs in zip(found, expected, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-9, atol=1e-11)


def test_places_of_no_family_are_nothing() -> None:
    given = [tensor.requires_grad_() for tensor in tensors(n_tokens=30)]
    out = by_merging(*given, FAMILIES, scaling=0.3)
    assert out[:, :, 24:].abs().max() == 0.0
    assert all(grad[:, :, 24:].abs().max() == 0.0 for grad in torch.autograd.grad(out.sum(), given))


def test_dropout_of_attention_keeps_the_mean_and_ends_with_training() -> None:
    given, layout = tensors(), Layout(FAMILIES)
    attend_with = {"scaling": 0.3, "layout": layout}
    still, _ = attend(SimpleNamespace(), *given, None, **attend_with)
    draws = [
        attend(SimpleNamespace(), *given, None, dropout=0.2, **attend_with)[0] for _ in range(400)
    ]
    assert not torch.allclose(draws[0], draws[1])
    error = torch.stack(draws).std(0) / len(draws) ** 0.5
    far = ((torch.stack(draws).mean(0) - still).abs() > 4.5 * error + 1e-12).double().mean()
    assert far < 0.01
    model = classifier("float64", attention_dropout=0.5, residual_dropout=0.5)
    corpus = CORPORA["several problems"]
    outputs = packed(model, True)
    rows = np.arange(len(corpus))
    model.eval()
    assert torch.equal(*(outputs(corpus, rows, rows[:0])[0] for _ in range(2)))
    model.train()
    assert not torch.equal(*(outputs(corpus, rows, rows[:0])[0] for _ in range(2)))


# -- the jobs -----------------------------------------------------------------------------------

PADDED = Scaling(
    workers=1, gpus=0.0, cpus=1.0, threads=1, micro_batch=12, zero_stage=0,
    activation_checkpointing=False,
)  # fmt: skip
# passes of few programs, so that steps have several, and not all as many
SHARED = replace(PADDED, workers=2, zero_stage=3, packing="prefix", tokens_per_pass=300)


def losses_in(out: Any) -> list[float]:
    losses: list[float] = json.loads((out / "training.json").read_text())["losses"]
    return losses


# a generator's is in test_checkpoints.py, where packing changes between two starts of a run
def test_a_reward_model_has_the_same_curve_with_shared_prefixes(
    tmp_path: Any, ray_local: None
) -> None:
    examples = write_directory(
        tmp_path / "examples", [example(number) for number in range(47)], (Example,)
    )
    config = OrmConfig(
        model=str(tiny_generator(tmp_path / "generator")),
        max_length=128,
        losses={"ce": 1.0, "bt": 0.5},
        group_size=6,
        optimization=Optimization(
            learning_rate=3e-3, epochs=3.0, effective_batch=12, warmup_steps=1
        ),
    )
    results = []
    for name, scaling in (("padded", PADDED), ("shared", SHARED)):
        out = tmp_path / f"orm-{name}"
        manifest = train_orm(examples=examples, out=str(out), config=config, scaling=scaling)
        results.append((losses_in(out), manifest["training"]["auc_within"]))
    (padded, padded_auc), (shared, shared_auc) = results
    assert shared == pytest.approx(padded, rel=1e-4)
    assert shared_auc == pytest.approx(padded_auc)


def example(number: int) -> Example:
    problem = problem_row(f"number {number // 6}")
    passed = number % 2 == 0
    return Example(
        example_id=str(number),
        problem_id=problem.problem_id,
        prompt=docstring_prompt(problem.statement, ""),
        program=f"x = {number % 6}\nprint(x{'' if passed else ' + 1'})",
        label=Label.PASS if passed else Label.FAIL,
        weight=1.0,
        split="calibration" if number >= 36 else "train",
    )
