"""What a run will need, said before anything starts: sizes, steps, memory a GPU, resources.

Estimates, from the model's dimensions alone; the formulas are in `memory`, and whether they fit a
GPU is in `fit`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from codeprm.records import Example, Record, Solution
from codeprm.tables import open_directory
from codeprm.training.config import GeneratorConfig, OrmConfig, Setup, Shape
from codeprm.training.dropout import dropout_words
from codeprm.training.fit import Fit, case_of, fit_of, gpu_gib, needed_gib, pass_tokens
from codeprm.training.memory import GIB, parameter_count, trained_parameters

AS_NEEDED = "as many as its tokens need"
STARCODER2_SHAPES = {
    "bigcode/starcoder2-3b": Shape(
        vocab_size=49152, hidden_size=3072, layers=30, heads=24, kv_heads=2,
        intermediate_size=12288, max_positions=16384,
    ),
    "bigcode/starcoder2-7b": Shape(
        vocab_size=49152, hidden_size=4608, layers=32, heads=36, kv_heads=4,
        intermediate_size=18432, max_positions=16384,
    ),
    "bigcode/starcoder2-15b": Shape(
        vocab_size=49152, hidden_size=6144, layers=40, heads=48, kv_heads=4,
        intermediate_size=24576, max_positions=16384, tied=False,
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything `--dry-run` prints; memory in GiB a worker.

    `needed_gib` is the peak: state, buffers and the larger of activations and step, with what a GPU
    needs besides.
    """

    model: str
    parameters: int | None
    trained_parameters: int | None
    examples: int
    steps: int
    tokens_at_most: int
    workers: int
    passes_per_step: int | str
    examples_per_pass: int | str
    tokens_per_pass: int
    attention_dropout: str
    state_gib: float | None
    buffers_gib: float | None
    activations_gib: float | None
    step_gib: float | None
    needed_gib: float | None
    host_gib: float | None
    cpus_per_worker: float
    gpus_per_worker: float
    fit: Fit | None

    def lines(self) -> list[str]:
        """One `name: value` line a field, and whether it fits the GPU that was named."""
        names = [field.name for field in fields(self) if field.name != "fit"]
        fits = self.fit.lines() if self.fit else []
        return [f"{name}: {_shown(getattr(self, name))}" for name in names] + fits


def plan_generator(data: str, setup: Setup[GeneratorConfig], gpu: str = "") -> Plan:
    """Of fine-tuning on a dataset directory; its solutions are counted, not read."""
    return make_plan(setup, examples=_rows(data, Solution), gpu=gpu)


def plan_orm(examples: str, setup: Setup[OrmConfig], gpu: str = "") -> Plan:
    """Of training on a label job's examples."""
    return make_plan(setup, examples=_rows(examples, Example), gpu=gpu)


def make_plan(
    setup: Setup[GeneratorConfig] | Setup[OrmConfig], *, examples: int, gpu: str = ""
) -> Plan:
    """The plan of a run over so many examples; sizes are unknown where the shape is."""
    config, scaling = setup.config, setup.scaling
    optimization = config.optimization
    if gpu:
        gpu_gib(gpu)
    shape = shape_of(config)
    case = case_of(setup, shape) if shape else None
    memory = case.memory() if case else None
    steps = optimization.steps(examples)
    passes = scaling.micro_batches(optimization.effective_batch)
    is_padded = scaling.packing == "padded"
    rows = optimization.effective_batch // (scaling.workers * passes)
    return Plan(
        model=config.model,
        parameters=parameter_count(shape) if shape else None,
        trained_parameters=trained_parameters(case.shape, case.work) if case else None,
        examples=examples,
        steps=steps,
        tokens_at_most=steps * optimization.effective_batch * config.max_length,
        workers=scaling.workers,
        passes_per_step=passes if is_padded else AS_NEEDED,
        examples_per_pass=rows if is_padded else AS_NEEDED,
        tokens_per_pass=pass_tokens(scaling, optimization.effective_batch, config.max_length),
        attention_dropout=_dropout(config),
        state_gib=memory.state / GIB if memory else None,
        buffers_gib=memory.buffers / GIB if memory else None,
        activations_gib=memory.activations / GIB if memory else None,
        step_gib=memory.step / GIB if memory else None,
        needed_gib=needed_gib(case) if case else None,
        host_gib=memory.host / GIB if memory else None,
        cpus_per_worker=scaling.cpus,
        gpus_per_worker=scaling.gpus,
        fit=fit_of(case, gpu) if case and gpu else None,
    )


def shape_of(config: GeneratorConfig | OrmConfig) -> Shape | None:
    """Dimensions of the model to start from: of a known name, or in its directory; else none."""
    if isinstance(config, GeneratorConfig) and config.from_scratch:
        return config.shape
    return STARCODER2_SHAPES.get(config.model) or _shape_in(config.model)


def _dropout(config: GeneratorConfig | OrmConfig) -> str:
    if isinstance(config, OrmConfig) and config.trunk == "frozen":
        return "none: the trunk is not trained"
    is_new = isinstance(config, GeneratorConfig) and config.from_scratch
    own = {} if is_new else _config_in(config.model)
    return dropout_words(config.optimization.attention_dropout, own)


def _config_in(model: str) -> dict[str, Any] | None:
    """`config.json` of a model in a directory; none of what is on the Hub."""
    values: dict[str, Any] | None = (
        open_directory(model).read_json("config.json") if model else None
    )
    return values


def _shape_in(model: str) -> Shape | None:
    """Of a StarCoder2 in a directory of ours or of Hugging Face's."""
    values = _config_in(model)
    if not values or values.get("model_type") != "starcoder2":
        return None
    return Shape(
        vocab_size=values["vocab_size"],
        hidden_size=values["hidden_size"],
        layers=values["num_hidden_layers"],
        heads=values["num_attention_heads"],
        kv_heads=values["num_key_value_heads"],
        intermediate_size=values["intermediate_size"],
        max_positions=values["max_position_embeddings"],
        tied=values.get("tie_word_embeddings", True),
    )


def _rows(uri: str, record: type[Record]) -> int:
    return int(open_directory(uri).require_complete()["rows"].get(record.table, 0))


def _shown(value: object) -> str:
    if value is None:
        return "unknown (the model is not a known StarCoder2)"
    if isinstance(value, float):
        return f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
