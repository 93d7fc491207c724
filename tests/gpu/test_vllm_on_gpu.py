"""The engine on a GPU: bfloat16, prefix caching, a repeatable sample."""

from __future__ import annotations

import asyncio
from pathlib import Path

from codeprm.backends.base import Request, Sampling
from codeprm.backends.vllm import VllmBackend
from codeprm.backends.vllm_engine import VllmConfig
from tests import models


def test_a_seed_repeats_its_sample_on_a_gpu(tmp_path: Path) -> None:
    folder = models.tiny_generator(tmp_path / "generator")
    backend = VllmBackend(VllmConfig(model=str(folder), max_model_len=256, max_num_seqs=16))
    request = Request(
        request_id="r", prompt=models.prompts(1)[0], seed=7, sampling=Sampling(max_tokens=32)
    )

    async def twice() -> list[str]:
        return [(await backend.generate(request)).text for _ in range(2)]

    try:
        first, second = asyncio.run(twice())
    finally:
        backend.close()
    assert first == second
