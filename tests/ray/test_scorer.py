"""Margins of a real vLLM engine against transformers; no Ray is needed for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from codeprm.backends.vllm_engine import VllmConfig
from codeprm.backends.vllm_scorer import VllmScorer, require_last_token
from codeprm.errors import BackendError, ConfigError
from codeprm.reward_model import Calibration
from tests.models import SHAPE, prompts, tiny_generator, tiny_orm, transformers_margins

# vLLM and torch warn of each other's interfaces
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

PROGRAMS = [
    f"n = int(input())\nprint({expression})\n# {'x' * length}"
    for expression in ("n", "n + 1", "sum(range(n))", "n % 2 == 0")
    for length in (0, 5, 40)
]


@pytest.fixture(scope="module")
def orm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    orm = tiny_orm(folder / "orm", tiny_generator(folder / "generator"))
    Calibration(temperature=2.0, bias=0.5, n=10).save(orm)
    return orm


@pytest.fixture(scope="module")
def scorer(orm: Path, loop: asyncio.AbstractEventLoop) -> Iterator[VllmScorer]:
    config = VllmConfig(model=str(orm), max_num_seqs=16, cpu_kv_cache_gb=0.1)
    scorer = VllmScorer(config, exit_if_dead=False)
    yield scorer
    scorer.close()
    # the engine's reader was cancelled and has yet to end
    loop.run_until_complete(asyncio.sleep(0))


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def test_margins_are_those_of_transformers(
    scorer: VllmScorer, orm: Path, loop: asyncio.AbstractEventLoop
) -> None:
    rows = [
        scorer.encode(prompt) + scorer.encode(program)
        for prompt in prompts(3)
        for program in PROGRAMS
    ]

    async def margins() -> list[float]:
        return await asyncio.gather(*(scorer.margin(row) for row in rows))

    found = loop.run_until_complete(margins())
    expected = transformers_margins(orm, rows)
    assert found == pytest.approx(expected, abs=5e-5)
    # else the tolerance would hide everything
    assert max(expected) - min(expected) > 0.1


def test_a_program_that_is_too_long_fails_alone(
    scorer: VllmScorer, loop: asyncio.AbstractEventLoop
) -> None:
    assert scorer.max_length == SHAPE.max_positions

    async def both() -> list[float | BaseException]:
        calls = [scorer.margin([5] * n_tokens) for n_tokens in (scorer.max_length + 1, 10)]
        return await asyncio.gather(*calls, return_exceptions=True)

    long, short = loop.run_until_complete(both())
    assert isinstance(long, BackendError)
    assert isinstance(short, float)


def test_the_calibration_comes_with_the_model(scorer: VllmScorer) -> None:
    assert scorer.calibration.temperature == 2.0


@pytest.mark.parametrize(
    ("n_labels", "pooling", "caching", "reason"),
    [
        (2, "CLS", True, "pooled at CLS"),
        (2, "LAST", False, "prefix caching is off"),
        (3, "LAST", True, "3 labels"),
    ],
)
def test_what_vllm_resolved_is_looked_at(
    n_labels: int, pooling: str, caching: bool, reason: str
) -> None:
    settings = SimpleNamespace(
        model_config=SimpleNamespace(
            hf_config=SimpleNamespace(num_labels=n_labels),
            pooler_config=SimpleNamespace(seq_pooling_type=pooling),
        ),
        cache_config=SimpleNamespace(enable_prefix_caching=caching),
    )
    with pytest.raises(ConfigError, match=reason):
        require_last_token("orm", settings)
