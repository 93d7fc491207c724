"""What is told of a training run: numbers of every step, a line now and then, what it has done.

Useful tokens are those of the examples, each counted once an example: no padding, and a prompt
that several programs share counts for each. So the figure compares runs however they are packed,
and sharing shows as speed. Useful FLOPs of a text of l tokens are

    6 N l + 12 L d l^2

with N the parameters outside of embeddings and output layer, L layers and d = heads x head size
(Chowdhery et al. 2022, arXiv 2204.02311, appendix B). As there, attention is counted as if every
token saw the whole text, and what activation checkpointing computes twice counts once. MFU divides
by what the devices can do in bf16; where that is not known, there is none.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from codeprm.training.batches import Indices
from codeprm.training.corpus import Index
from codeprm.training.memory import GIB

if TYPE_CHECKING:
    from codeprm.training.engine import Diverged, StepReport

LOG_EVERY_S = 15.0
NAMED_EXAMPLES = 5

# FLOP/s in bf16 without sparsity, from NVIDIA's data sheets; all words of a name must be there.
PEAK_BF16_FLOPS = {
    "A10": 125e12,
    "A100": 312e12,
    "L4": 121e12,
    "L40S": 362e12,
    "H100": 989e12,
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H200": 989e12,
    "B200": 2250e12,
}

logger = logging.getLogger("codeprm.train")


class Work(NamedTuple):
    """What decides the FLOPs of a token."""

    parameters: int
    """Outside of embeddings and output layer."""
    layers: int
    width: int
    """Heads times head size."""


class Devices(NamedTuple):
    """What a run computes on: `peak_flops` of all together, None where it is not known."""

    name: str
    n: int
    peak_flops: float | None


def peak_flops(device_name: str) -> float | None:
    """Of one device, by the longest name of the table whose words it has."""
    words = set(re.split(r"[\s-]+", device_name))
    known = [name for name in PEAK_BF16_FLOPS if words.issuperset(name.split())]
    return PEAK_BF16_FLOPS[max(known, key=len)] if known else None


def useful_flops(lengths: Indices, work: Work) -> float:
    """Of one forward and backward pass over texts of so many tokens."""
    tokens = lengths.astype(np.float64)
    linear = 6.0 * work.parameters * tokens.sum()
    return float(linear + 12.0 * work.layers * work.width * np.square(tokens).sum())


def work_of(model: Any) -> Work:
    """Of a Hugging Face model, its weights perhaps divided among ranks."""
    config = model.config
    outside = {id(model.get_input_embeddings().weight)}
    if (head := model.get_output_embeddings()) is not None:
        outside.add(id(head.weight))
    parameters = sum(
        int(getattr(parameter, "ds_numel", parameter.numel()))
        for parameter in model.parameters()
        if id(parameter) not in outside
    )
    head_size = getattr(config, "head_dim", None) or (
        config.hidden_size // config.num_attention_heads
    )
    return Work(parameters, config.num_hidden_layers, config.num_attention_heads * head_size)


def devices_of(device: Any, workers: int) -> Devices:
    """Of the process group, if all ranks have a device as this rank's."""
    if device.type != "cuda":
        return Devices(device.type, workers, None)
    import torch

    name = torch.cuda.get_device_name(device)
    peak = peak_flops(name)
    return Devices(name, workers, None if peak is None else peak * workers)


def memory_gib(device: Any) -> float:
    """This rank's peak of tensors on a GPU, or the memory that its process holds."""
    if device.type == "cuda":
        import torch

        return float(torch.cuda.max_memory_allocated(device) / GIB)
    import psutil

    return float(psutil.Process().memory_info().rss / GIB)


def step_numbers(
    report: StepReport,
    lengths: Indices,
    *,
    weights: Mapping[str, float],
    work: Work,
    devices: Devices,
    memory: float,
) -> dict[str, float]:
    """By name; `lengths` are those of the step's examples, `loss/KIND` is without its weight."""
    seconds = max(report.seconds, 1e-9)
    numbers = {
        "loss": report.loss,
        **{f"loss/{kind}": value / weights[kind] for kind, value in _weighted(report, weights)},
        "grad_norm": report.grad_norm,
        "learning_rate": report.learning_rate,
        "step_s": report.seconds,
        "tokens_per_s": float(lengths.sum()) / seconds,
        "memory_gib": memory,
    }
    if devices.peak_flops is not None:
        numbers["mfu"] = useful_flops(lengths, work) / seconds / devices.peak_flops
    return numbers


def _weighted(report: StepReport, weights: Mapping[str, float]) -> list[tuple[str, float]]:
    return [(kind, value) for kind, value in report.kinds.items() if weights.get(kind)]


@dataclass(slots=True)
class History:
    """What a run has told so far; a checkpoint carries it, so a resumed run's is whole."""

    steps: list[dict[str, float]] = field(default_factory=list)
    looks: list[dict[str, float]] = field(default_factory=list)
    """What was held out, now and then; `step` counts steps done."""
    unjudged: dict[int, dict[str, str]] = field(default_factory=dict)
    """By steps done, the programs of looks that are still with the judge, by problem id."""

    @property
    def losses(self) -> list[float]:
        """Of each step."""
        return [numbers["loss"] for numbers in self.steps]

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"steps": self.steps, "looks": self.looks, "unjudged": self.unjudged}

    def knows(self, step: int, name: str) -> bool:
        """Whether a look after so many steps told this number."""
        return any(seen["step"] == step and name in seen for seen in self.looks)

    def add_look(self, step: int, numbers: Mapping[str, float]) -> bool:
        """Numbers after so many steps, beside others of the same; False if they are known."""
        seen = next((each for each in self.looks if each["step"] == step), None)
        if seen is None:
            self.looks.append({"step": step, **numbers})
            return True
        is_new = not numbers.keys() <= seen.keys()
        seen.update(numbers)
        return is_new

    def to_json(self) -> dict[str, Any]:
        """A list a number, one value a step; None where a step did not have it."""
        names = list(dict.fromkeys(name for numbers in self.steps for name in numbers))
        curves = {name: [numbers.get(name) for numbers in self.steps] for name in names}
        return {"losses": curves.pop("loss", []), "curves": curves, "held_out": self.looks}


@dataclass(slots=True, kw_only=True)
class Progress:
    """When to write a line, and what it says of the time."""

    job: str
    steps: int
    is_silent: bool = False
    """Ranks but the first say nothing."""
    started: float = field(default_factory=time.monotonic)
    _last: float = field(default_factory=time.monotonic)
    _done: int = 0

    def tell(self, report: StepReport, numbers: Mapping[str, float]) -> None:
        """Count a step, and log a line if the last is `LOG_EVERY_S` ago."""
        self._done += 1
        now = time.monotonic()
        if not self.is_silent and now - self._last >= LOG_EVERY_S:
            self._last = now
            elapsed_s = now - self.started
            left_s = elapsed_s / self._done * (self.steps - report.step - 1)
            text = line(report.step, self.steps, numbers, elapsed_s, left_s)
            logger.info("%s: %s", self.job, text)

    def tell_look(self, done: int, numbers: Mapping[str, float]) -> None:
        """What is held out, as a line."""
        if not self.is_silent:
            shown = {n: f"{v:,}" if isinstance(v, int) else f"{v:.4f}" for n, v in numbers.items()}
            parts = [f"{n.removeprefix('held_out/')} {text}" for n, text in shown.items()]
            logger.info("%s: held out after step %d: %s", self.job, done, ", ".join(parts))


def line(
    step: int, steps: int, numbers: Mapping[str, float], elapsed_s: float, left_s: float
) -> str:
    """A step in one line."""
    kinds = {n.removeprefix("loss/"): v for n, v in numbers.items() if n.startswith("loss/")}
    loss = f"loss {numbers['loss']:.4f}"
    if len(kinds) > 1:
        loss += f" ({', '.join(f'{kind} {value:.4f}' for kind, value in kinds.items())})"
    speed = f"{numbers['tokens_per_s']:,.0f} tokens/s"
    if "mfu" in numbers:
        speed += f" (MFU {100 * numbers['mfu']:.0f} %)"
    return (
        f"step {step + 1}/{steps}, {loss}, gradient norm {numbers['grad_norm']:.2f}, {speed}, "
        f"{numbers['memory_gib']:.1f} GiB, {elapsed_s:.0f} s, about {left_s:.0f} s left"
    )


def is_look_due(done: int, *, every: int, checkpoint_every: int) -> bool:
    """Whether what is held out is looked at after so many steps."""
    return done % (every or checkpoint_every) == 0


def limited(index: Index, n_rows: int) -> Indices:
    """Held-out rows of the first problems, whole ones; at most `n_rows`, or one problem."""
    rows = np.flatnonzero(index.held_out)
    if len(rows) <= n_rows:
        return rows
    problems, first, sizes = np.unique(index.problems[rows], return_index=True, return_counts=True)
    order = np.argsort(first)
    kept = max(1, int(np.searchsorted(np.cumsum(sizes[order]), n_rows, side="right")))
    return rows[np.isin(index.problems[rows], problems[order[:kept]])]


def divergence(job: str, out: str, diverged: Diverged, named: Sequence[str]) -> str:
    """The sentence that ends a run which diverged: step, loss, examples, what to do.

    `named` are the ids of its first `NAMED_EXAMPLES` rows.
    """
    left = len(diverged.rows) - len(named)
    more = f" and {left} more" if left else ""
    what = f"its loss is {diverged.loss}"
    if diverged.grad_norm is not None:
        what += f" and the norm of its gradient {diverged.grad_norm}"
    return (
        f"{job} stopped at step {diverged.step + 1}: {what} (examples {', '.join(named)}{more}): "
        f"lower learning_rate or look at these examples, and give another --out; the last good "
        f"checkpoint is in {out}/work"
    )
