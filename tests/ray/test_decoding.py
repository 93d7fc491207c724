"""Completions with a cache, padding and packed attention are those of one token after the other."""

from __future__ import annotations

import random
from typing import Any

import pytest

from codeprm.training.config import Shape
from codeprm.training.decoding import Drawing, Prompt, complete, draw
from codeprm.training.models import generator_module, new_generator
from codeprm.training.packed_attention import NAME
from codeprm.training.packed_models import packed_generator_module

torch = pytest.importorskip("torch")
END = 0
SHAPE = Shape(
    vocab_size=97, hidden_size=32, layers=2, heads=2, kv_heads=1, intermediate_size=64,
    max_positions=64,
)  # fmt: skip
PROMPTS = [
    Prompt(list(range(1, n + 1)), n_new, f"seed {n}")
    for n, n_new in ((3, 20), (11, 12), (1, 20), (30, 7), (5, 0))
]


class Engine:
    """As much of DeepSpeed's engine as decoding drives."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.device = torch.device("cpu")
        self.calls = 0

    def eval(self) -> None:
        self.module.eval()

    def train(self) -> None:
        self.module.train()

    def __call__(self, **inputs: Any) -> Any:
        self.calls += 1
        return self.module(**inputs)


@pytest.fixture
def model() -> Any:
    torch.manual_seed(0)
    made = new_generator(SHAPE, SHAPE.vocab_size, END, "float32")
    with torch.no_grad():
        for parameter in made.parameters():
            # fresh weights say next to nothing of what is near
            parameter.mul_(4)
    made.config.attention_dropout = made.config.residual_dropout = 0.2
    made.gradient_checkpointing_enable()
    return made


def is_done(done: bool) -> bool:
    return done


def one_by_one(model: Any, prompt: Prompt, drawing: Drawing) -> list[int]:
    """Without cache, padding or neighbours, by another attention."""
    rng, ids, new = random.Random(prompt.seed), list(prompt.ids), list[int]()
    attention = model.config._attn_implementation
    model.eval()
    model.set_attn_implementation("eager")
    while len(new) < prompt.n_new:
        with torch.no_grad():
            logits = model(torch.tensor([ids]), use_cache=False).logits[:, -1]
        uniform = torch.tensor([rng.random()], dtype=torch.float64)
        token = int(draw(logits, uniform, drawing))
        if token == drawing.end_id:
            break
        new.append(token)
        ids.append(token)
    model.set_attn_implementation(attention)
    model.train()
    return new


@pytest.mark.parametrize("is_packed", [False, True])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_completions_are_those_of_prompts_alone(
    is_packed: bool, temperature: float, model: Any
) -> None:
    make: Any = packed_generator_module if is_packed else generator_module
    engine = Engine(make(model, longest=64) if is_packed else make(model))
    engine.train()
    # an end that is drawn in the middle of some
    free = [one_by_one(model, p, Drawing(temperature, 0.9, -1)) for p in PROMPTS]
    drawing = Drawing(temperature, 0.9, free[0][4])
    expected = [one_by_one(model, prompt, drawing) for prompt in PROMPTS]
    assert 0 < len(expected[0]) < 20
    before = torch.get_rng_state()
    assert complete(engine, model, PROMPTS, drawing, all_done=is_done) == expected
    assert torch.equal(torch.get_rng_state(), before)
    assert model.training
    assert model.config._attn_implementation == (NAME if is_packed else "sdpa")
    assert "forward" not in vars(engine.module)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_rank_that_is_done_steps_on_until_all_are(model: Any) -> None:
    engine = Engine(generator_module(model))
    left = iter([False] * 9 + [True])
    found = complete(
        engine, model, [Prompt([1, 2], 3, "")], Drawing(1.0, 1.0, -1), all_done=lambda _: next(left)
    )
    assert engine.calls == 9
    assert len(found[0]) == 3


def test_draws_follow_the_probabilities_of_the_nucleus() -> None:
    mass = torch.tensor([[0.15, 0.5, 0.05, 0.3]])
    n = 2000
    uniforms = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    logits = mass.log().expand(n, 4)

    def shares(temperature: float, top_p: float) -> list[float]:
        drawn = draw(logits, uniforms, Drawing(temperature, top_p, 0))
        return (torch.bincount(drawn, minlength=4) / n).tolist()

    assert shares(1.0, 1.0) == pytest.approx([0.15, 0.5, 0.05, 0.3], abs=1e-3)
    # 0.5 alone does not reach 0.7, with 0.3 it does
    assert shares(1.0, 0.7) == pytest.approx([0, 0.625, 0, 0.375], abs=1e-3)
    assert shares(0.5, 1.0) == pytest.approx(
        [x * x / 0.365 for x in (0.15, 0.5, 0.05, 0.3)], abs=1e-3
    )
    assert shares(1.0, 1e-9) == shares(0.0, 1.0) == [0, 1, 0, 0]
    almost = torch.tensor([1 - 2**-53], dtype=torch.float64)
    assert int(draw(logits[:1], almost, Drawing(1.0, 1.0, 0))) == 2
